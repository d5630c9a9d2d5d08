//! The list of all endpoints. It is the router, the manual, the sample policy and the exhaustive tests.

use std::collections::BTreeMap;
use std::path::Path;

use super::compute;
use super::dialect::Api;
use super::endpoint::{Operation, Route, Rule};
use super::identity;
use super::image;
use super::network;
use crate::config::Settings;
use crate::policy::Scopes;
use crate::policy::file::{FileError, Overrides, PolicyFiles};
use crate::policy::live::LiveRules;
use crate::policy::rules::{Deprecated, RuleDefault, Rules, Settings as RuleSettings};
use crate::policy::sample::sample;

/// Every row, with the API it belongs to.
pub fn all() -> Vec<(Api, &'static dyn Operation)> {
    let rows = |api, rows: &[&'static dyn Operation]| rows.iter().map(|row| (api, *row)).collect::<Vec<_>>();
    [
        rows(Api::Compute, compute::ROWS),
        rows(Api::Compute, compute::servers::ROWS),
        rows(Api::Compute, compute::servers::actions::ROWS),
        rows(Api::Identity, identity::ROWS),
        rows(Api::Image, image::ROWS),
        rows(Api::Network, network::ROWS),
    ]
    .concat()
}

/// The rules that others are made of (nova/policies/base.py): name, check, what it is for.
const BASE_RULES: &[(&str, &str, &str)] = &[
    (
        "context_is_admin",
        "role:admin",
        "Who counts as an administrator: sees every project, and is not stopped by locks.",
    ),
    (
        "admin_or_owner",
        "is_admin:True or project_id:%(project_id)s",
        "The old default of most rules: administrators, and every role of the project.",
    ),
    ("admin_api", "is_admin:True", "The old default of rules for administrators."),
    ("project_manager_api", "role:manager and project_id:%(project_id)s", "Managers of the project."),
    ("project_member_api", "role:member and project_id:%(project_id)s", "Members of the project."),
    ("project_reader_api", "role:reader and project_id:%(project_id)s", "Readers of the project."),
    (
        "project_manager_or_admin",
        "rule:project_manager_api or rule:context_is_admin",
        "The default for managing what belongs to a project.",
    ),
    (
        "project_member_or_admin",
        "rule:project_member_api or rule:context_is_admin",
        "The default for changing what belongs to a project.",
    ),
    (
        "project_reader_or_admin",
        "rule:project_reader_api or rule:context_is_admin",
        "The default for reading what belongs to a project.",
    ),
    ("service_api", "role:service", "Other services of the cloud."),
    (
        "service_or_admin",
        "rule:service_api or rule:context_is_admin",
        "The default for what services do to each other.",
    ),
    // Keystone's (keystone/common/policies/base.py), as far as their names are not Nova's too. Its `is_admin:1` is left out: the
    // language reads it as Nova does, where it means False.
    ("admin_required", "role:admin", "Who counts as an administrator of Identity."),
    ("service_role", "role:service", "Other services, as Identity names them."),
    ("owner", "user_id:%(user_id)s", "The user whom the request is about."),
    ("token_subject", "user_id:%(target.token.user_id)s", "The user whose token is looked at."),
    (
        "domain_managed_target_role",
        "'manager':%(target.role.name)s or 'member':%(target.role.name)s or 'reader':%(target.role.name)s",
        "The roles that a manager of a domain may grant.",
    ),
];

/// Every rule that an endpoint or one of its fields asks, once, by name.
pub fn rules() -> Vec<Rule> {
    let mut rules: Vec<Rule> = all().iter().flat_map(|(_, row)| [&[row.rule()], row.more_rules()].concat()).collect();
    rules.retain(|rule| !rule.name.is_empty());
    rules.sort_by_key(|rule| rule.name);
    rules.dedup_by_key(|rule| rule.name);
    rules
}

/// Where the policy files are: those of the settings, else those of the data directory.
pub fn policy_files(directory: &Path, settings: &Settings) -> PolicyFiles {
    let of_settings = settings.policy_file.clone();
    let policy_dirs = match settings.policy_dirs.as_slice() {
        [] => vec![directory.join("policy.d")],
        given => given.to_vec(),
    };
    PolicyFiles {
        // oslo.policy falls back to the older name too, and only from the default one
        fallback_file: of_settings.is_none().then(|| directory.join("policy.json")),
        policy_file: of_settings.unwrap_or_else(|| directory.join("policy.yaml")),
        policy_dirs,
    }
}

/// What files say, joined with the defaults of the table.
pub fn joined(overrides: Overrides, settings: &Settings) -> Rules {
    let meaning = RuleSettings {
        default_rule: settings.policy_default_rule.clone(),
        enforce_new_defaults: settings.enforce_new_defaults,
    };
    Rules::new(overrides, &defaults(), &meaning)
}

/// The rules in force: the policy files over the defaults of the table. What is odd about them is logged, at every reload too.
///
/// # Errors
/// Where a policy file cannot be read, with its name and line.
pub fn live_rules(directory: &Path, settings: &Settings) -> Result<LiveRules, FileError> {
    let (files, settings) = (policy_files(directory, settings), settings.clone());
    LiveRules::load(files, move |overrides| {
        let rules = joined(overrides, &settings);
        for problem in rules.problems() {
            tracing::warn!(rule = problem.rule, "policy: {}", problem.sentence);
        }
        rules
    })
}

/// The rules that no row asks itself, but others refer to.
pub fn base_defaults() -> Vec<RuleDefault<'static>> {
    let rules = BASE_RULES.iter();
    rules.map(|(name, check, description)| RuleDefault { name, check, description, ..RuleDefault::default() }).collect()
}

/// The defaults of the rows, by name, with the operations each rule guards and the API it belongs to. A rule that rows of several
/// APIs ask belongs to the last of them: Compute also asks the rules of Image, never the other way round.
fn defaults_of_rows() -> Vec<(Api, RuleDefault<'static>)> {
    let mut found: BTreeMap<&'static str, (Api, RuleDefault<'static>)> = BTreeMap::new();
    for (api, row) in all() {
        for rule in [&[row.rule()], row.more_rules()].concat().into_iter().filter(|rule| !rule.name.is_empty()) {
            let (owner, default) = found.entry(rule.name).or_insert_with(|| (api, default_of(&rule)));
            *owner = api.max(*owner);
            let operation = operation_of(api, row.route());
            if !default.operations.contains(&operation) {
                default.operations.push(operation);
            }
        }
    }
    found.into_values().collect()
}

fn default_of(rule: &Rule) -> RuleDefault<'static> {
    RuleDefault {
        name: rule.name,
        check: rule.default,
        deprecated: rule.deprecated.map(|check| Deprecated { name: rule.name, check, reason: DEPRECATED, since: "" }),
        description: rule.doc,
        operations: Vec::new(),
        scopes: match rule.scopes {
            Scopes::Project => &["project"],
            Scopes::SystemOrProject => &["system", "project"],
            Scopes::Any => &[],
        },
    }
}

const DEPRECATED: &str = "The old default also counts where enforce_new_defaults is false.";

/// A row as the sample shows it: method, whole path, and in brackets the action.
fn operation_of(api: Api, route: &'static Route) -> (&'static str, String) {
    let action = route.action.map_or(String::new(), |action| format!(" ({action})"));
    (route.method.as_str(), format!("{}{}{action}", api.prefix(), route.path))
}

/// The defaults of the whole table, as the policy room wants them.
pub fn defaults() -> Vec<RuleDefault<'static>> {
    let mut defaults = base_defaults();
    let of_rows: Vec<_> = defaults_of_rows().into_iter().map(|(_, default)| default).collect();
    let known: Vec<&str> = defaults.iter().map(|default| default.name).collect();
    let new: Vec<_> = of_rows.into_iter().filter(|default| !known.contains(&default.name)).collect();
    defaults.extend(new);
    defaults
}

/// The sample policy file: every rule, what it is for and what it guards, group by group, all commented out.
pub fn sample_policy() -> String {
    let mut out = String::from(SAMPLE_HEAD);
    let mut group = |title: &str, defaults: &[RuleDefault<'_>]| {
        if !defaults.is_empty() {
            out.push_str(&format!("# ---- {title} ----\n\n{}", sample(defaults)));
        }
    };
    group("Rules that others are made of", &base_defaults());
    let of_rows = defaults_of_rows();
    for api in Api::ALL {
        let own = of_rows.iter().filter(|(owner, _)| *owner == api);
        group(api.title(), &own.map(|(_, default)| default.clone()).collect::<Vec<_>>());
    }
    out
}

const SAMPLE_HEAD: &str = "\
# Who may do what. Every rule stands here with its default, commented out.
# To change one, take away its `#` and write another check. Kilonova reads
# this file from DATA_DIR/policy.yaml, then every file of DATA_DIR/policy.d,
# and again whenever one changes. What holds for every process of a database
# is published instead, and what is in the files counts over it:
#
#   kilonova policy publish FILE
#
# After a change:
#
#   kilonova policy check
#   kilonova policy explain RULE --role member
#
# Checks: role:NAME, rule:NAME, project_id:%(project_id)s (the caller's
# project is the target's), \"@\" or \"\" (everybody), \"!\" (nobody),
# http://HOST/PATH (ask another server); joined by and, or, not and ().

";
