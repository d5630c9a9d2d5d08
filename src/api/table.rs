//! The list of all endpoints. It is the router, the manual, the sample policy and the exhaustive tests.

use std::path::Path;

use super::compute;
use super::dialect::Api;
use super::endpoint::{Operation, Rule};
use crate::config::Settings;
use crate::policy::file::{FileError, LiveRules, PolicyFiles};
use crate::policy::rules::{Deprecated, RuleDefault, Rules, Settings as RuleSettings};

/// Every row, with the API it belongs to.
pub fn all() -> Vec<(Api, &'static dyn Operation)> {
    let rows = |api, rows: &[&'static dyn Operation]| rows.iter().map(|row| (api, *row)).collect::<Vec<_>>();
    [rows(Api::Compute, compute::ROWS)].concat()
}

/// The rules that others are made of (nova/policies/base.py): name, check.
const BASE_RULES: &[(&str, &str)] = &[
    ("context_is_admin", "role:admin"),
    ("admin_or_owner", "is_admin:True or project_id:%(project_id)s"),
    ("admin_api", "is_admin:True"),
    ("project_manager_api", "role:manager and project_id:%(project_id)s"),
    ("project_member_api", "role:member and project_id:%(project_id)s"),
    ("project_reader_api", "role:reader and project_id:%(project_id)s"),
    ("project_manager_or_admin", "rule:project_manager_api or rule:context_is_admin"),
    ("project_member_or_admin", "rule:project_member_api or rule:context_is_admin"),
    ("project_reader_or_admin", "rule:project_reader_api or rule:context_is_admin"),
    ("service_api", "role:service"),
    ("service_or_admin", "rule:service_api or rule:context_is_admin"),
];

/// Every rule that an endpoint or one of its fields asks, once, by name.
pub fn rules() -> Vec<Rule> {
    let mut rules: Vec<Rule> = all().iter().flat_map(|(_, row)| [&[row.rule()], row.more_rules()].concat()).collect();
    rules.retain(|rule| !rule.name.is_empty());
    rules.sort_by_key(|rule| rule.name);
    rules.dedup_by_key(|rule| rule.name);
    rules
}

/// The rules in force: the policy files over the defaults of the table.
///
/// # Errors
/// Where a policy file cannot be read, with its name and line.
pub fn live_rules(directory: &Path, settings: &Settings) -> Result<LiveRules, FileError> {
    let files = PolicyFiles {
        policy_file: settings.policy_file.clone().unwrap_or_else(|| directory.join("policy.yaml")),
        policy_dirs: settings.policy_dirs.clone(),
    };
    let meaning = RuleSettings {
        default_rule: settings.policy_default_rule.clone(),
        enforce_new_defaults: settings.enforce_new_defaults,
    };
    LiveRules::load(files, move |overrides| Rules::new(overrides, &defaults(), &meaning))
}

/// The defaults of the table, as the policy room wants them.
pub fn defaults() -> Vec<RuleDefault<'static>> {
    let base = BASE_RULES.iter().map(|(name, check)| RuleDefault { name, check, ..RuleDefault::default() });
    let of_rows = rules().into_iter().map(|rule| RuleDefault {
        name: rule.name,
        check: rule.default,
        deprecated: rule.deprecated.map(|check| Deprecated { name: rule.name, check, reason: "", since: "" }),
        description: rule.doc,
        ..RuleDefault::default()
    });
    base.chain(of_rows).collect()
}
