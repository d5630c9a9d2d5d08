//! `kilonova policy explain`: why somebody may do something, or may not, by the rules that a server on these settings obeys.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use http::Method;

use super::db::{Failure, open, runtime, with};
use super::policy::{files, must_exist, nearest};
use super::settings::SettingFlags;
use crate::api::dialect::{self, Dialect};
use crate::api::endpoint::Operation;
use crate::api::router::{self, Found, Router};
use crate::api::table;
use crate::config::{Database, Settings};
use crate::identity::bootstrap::ROLES;
use crate::policy::evaluate::{Case, Fact, Facts, Outcome, Verdicts};
use crate::policy::live::{Edition, LiveRules, Published};
use crate::policy::rules::Rules;
use crate::policy::{Caller, Scopes};
use crate::store::{Purpose, policies, sqlite};

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The name of a rule, or a method and a path (and an action, after another space)
    rule: String,
    /// A role of the caller; may be given more than once. admin, manager and member imply the lesser ones, as Identity has it
    #[arg(long = "role", value_name = "NAME")]
    roles: Vec<String>,
    /// The caller has just the roles given, without those they imply
    #[arg(long)]
    exact_roles: bool,
    /// The project the caller's token is for
    #[arg(long, value_name = "ID", default_value = "project")]
    project: String,
    /// The project of what is acted upon. Default: the caller's own
    #[arg(long, value_name = "ID")]
    target_project: Option<String>,
    /// The caller
    #[arg(long, value_name = "ID", default_value = "user")]
    user: String,
    /// Another fact about what is acted upon, such as user_id=u1; may be given more than once
    #[arg(long = "target", value_name = "NAME=VALUE", value_parser = fact)]
    facts: Vec<(String, String)>,
    /// The caller's token is for the system, not for a project
    #[arg(long, conflicts_with = "project")]
    system: bool,
    /// Take the rules of this file alone, and ask no database
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingFlags,
}

fn fact(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a fact is NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// What `explain` is asked.
struct Question {
    rule: String,
    caller: Asker,
    target: Target,
    file: Option<PathBuf>,
}

/// Who asks; the credentials themselves are made when the rules are known, which say who is an administrator.
struct Asker {
    user: String,
    roles: Vec<String>,
    project: Option<String>,
}

/// What is known of what is acted upon.
struct Target(Vec<(String, String)>);

impl Facts for Target {
    fn fact(&self, name: &str) -> Option<Fact<'_>> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| Fact::Str(value))
    }

    fn each(&self, tell: &mut dyn FnMut(&str, Fact<'_>)) {
        self.0.iter().for_each(|(name, value)| tell(name, Fact::Str(value)));
    }
}

impl Explain {
    pub(super) fn run(self) -> ExitCode {
        if let Some(Err(code)) = self.file.as_deref().map(must_exist) {
            return code;
        }
        let (question, settings) = self.question();
        with(settings, |settings| run_explain(settings, &question))
    }

    fn question(self) -> (Question, SettingFlags) {
        let target_project = self.target_project.unwrap_or_else(|| self.project.clone());
        let mut facts = self.facts;
        facts.push(("project_id".to_owned(), target_project));
        let roles = if self.exact_roles { self.roles } else { implied(&self.roles) };
        let project = (!self.system).then_some(self.project);
        let caller = Asker { user: self.user, roles, project };
        (Question { rule: self.rule, caller, target: Target(facts), file: self.file }, self.settings)
    }
}

/// The roles with those they imply, as Identity writes them into tokens.
fn implied(roles: &[String]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for role in roles {
        let place = ROLES.iter().position(|known| known.eq_ignore_ascii_case(role));
        let lesser = place.map_or(&[][..], |place| &ROLES[place + 1..]);
        for name in std::iter::once(role.as_str()).chain(lesser.iter().copied()) {
            if !all.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                all.push(name.to_owned());
            }
        }
    }
    all
}

fn run_explain(settings: &Settings, question: &Question) -> Result<ExitCode, Failure> {
    let asked = match &question.file {
        Some(file) => of_file(settings, file)?,
        None => in_force(settings)?,
    };
    Ok(match explained(&asked.rules, question) {
        Ok((text, is_allowed)) => {
            super::print(&format!("policy: {}\n{text}", asked.layers));
            if is_allowed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(sentence) => {
            eprintln!("kilonova: {sentence}");
            ExitCode::from(super::WRONG_USE)
        }
    })
}

/// The rules that are asked, and what they come from, in words.
struct Asked {
    rules: Arc<Rules>,
    layers: String,
}

fn of_file(settings: &Settings, file: &Path) -> Result<Asked, Failure> {
    let overrides = files(settings, Some(file.to_owned())).load()?;
    let layers = format!("the defaults, over them the file {}", file.display());
    Ok(Asked { rules: Arc::new(table::joined(overrides, settings)), layers })
}

/// What a server that starts now has in force: put together by the code that puts it in force there.
fn in_force(settings: &Settings) -> Result<Asked, Failure> {
    let files = files(settings, None);
    let paths = files.present()?;
    let meaning = settings.clone();
    let live = LiveRules::load(files, move |overrides| table::joined(overrides, &meaning))?;
    let published = if has_database(settings) { published(settings)? } else { Vec::new() };
    let is_withdrawn = |edition: Edition| published.iter().any(|one| one.edition == edition && one.text.is_empty());
    let refused = live.take(published.clone()).refused;
    if let (None, Some(why)) = (live.edition(), refused.first()) {
        return Err(format!("no published policy can be read, so no server starts on this database: {why}").into());
    }
    let mut above: Vec<String> = paths.iter().map(|path| format!("the file {}", path.display())).collect();
    let mut layers = match live.edition() {
        Some(edition) if is_withdrawn(edition) => {
            format!("the defaults (what was published is withdrawn, revision {})", edition.revision)
        }
        Some(Edition { revision, published_at }) => {
            above.insert(0, format!("revision {revision}, published at {published_at}"));
            "the defaults".to_owned()
        }
        None if has_database(settings) => "the defaults (nothing is published)".to_owned(),
        None => "the defaults (there is no database yet)".to_owned(),
    };
    for (at, layer) in above.iter().enumerate() {
        layers += if at == 0 { ", over them " } else { ", over that " };
        layers += layer;
    }
    for why in refused {
        layers += &format!("\nnot in force: {why}");
    }
    Ok(Asked { rules: live.current(), layers })
}

/// Whether the database is where the settings have it. Of one elsewhere that is known when it is asked.
fn has_database(settings: &Settings) -> bool {
    settings.database != Database::Embedded || settings.data_dir.join(sqlite::FILE).exists()
}

/// The published policies that the database keeps.
fn published(settings: &Settings) -> Result<Vec<Published>, Failure> {
    let kept = runtime()?.block_on(async {
        let store = open(settings, Purpose::Look).await?;
        let kept = store.read(policies::kept).await?;
        store.close();
        Ok::<_, Failure>(kept)
    });
    kept.map_err(|error| format!("{error}. With --file the database is not asked").into())
}

/// The explanation, and whether every rule in question allows it.
fn explained(rules: &Rules, question: &Question) -> Result<(String, bool), String> {
    let names = rule_names(rules, &question.rule)?;
    let caller = caller(rules, &question.caller)?;
    let (mut text, mut allowed) = (String::new(), true);
    writeln!(
        text,
        "roles: {}; administrator: {}\n",
        caller.roles.join(", "),
        if caller.is_admin { "yes" } else { "no" }
    )
    .expect("writing to a String cannot fail");
    for name in &names {
        let takes_projects_only =
            table::rules().iter().any(|rule| rule.name == *name && rule.scopes == Scopes::Project);
        if takes_projects_only && caller.project_id.is_none() {
            text.push_str(&format!("{name}: denied\n  this rule takes only tokens that are scoped to a project\n"));
            allowed = false;
            continue;
        }
        let verdicts = Verdicts::none();
        let explanation =
            rules.explain(name, Case { credentials: &caller, target: &question.target, verdicts: &verdicts });
        allowed &= explanation.outcome == Outcome::Allowed;
        text.push_str(&explanation.to_string());
    }
    if names.is_empty() {
        text.push_str("There is no rule for this request: everybody may.\n");
    }
    let target_project = question.target.fact("project_id");
    if !caller.is_admin && caller.project_id.as_ref().map(|id| Fact::Str(id.as_str())) != target_project {
        text.push_str(
            "\nWhat belongs to another project is hidden from callers who are not administrators: where a rule is about such a \
             thing, they get 404 before it is asked.\n",
        );
    }
    Ok((text, allowed))
}

/// The rules to explain: the one of this name, or those of the request.
fn rule_names(rules: &Rules, asked: &str) -> Result<Vec<String>, String> {
    if let Some((method, rest)) = asked.split_once(' ') {
        return rules_of_request(method, rest.trim());
    }
    if rules.defines(asked) {
        return Ok(vec![asked.to_owned()]);
    }
    let nearest = nearest(asked, rules.list().iter().map(|listed| &*listed.name));
    Err(format!("there is no rule {asked:?}; the nearest is {nearest:?}"))
}

fn rules_of_request(method: &str, rest: &str) -> Result<Vec<String>, String> {
    let (path, action) = rest.split_once(' ').map_or((rest, None), |(path, action)| (path, Some(action)));
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| format!("{method:?} is not a method"))?;
    let (dialect, tail) = match dialect::door(path) {
        // a path as the manual has it, below the door
        (door, tail) if door.prefix.is_empty() => (&dialect::OPENSTACK, tail),
        found => found,
    };
    let router = Router::new(table::all());
    let rows = found(&router, dialect, &method, tail).ok_or_else(|| format!("there is no {method} {path}"))?;
    let fits = |row: &&&'static dyn Operation| action.is_none() || row.route().action == action;
    let mut names: Vec<String> = Vec::new();
    for row in rows.iter().filter(fits) {
        for rule in std::iter::once(&row.rule()).chain(row.more_rules()) {
            if !rule.name.is_empty() && !names.iter().any(|known| known == rule.name) {
                names.push(rule.name.to_owned());
            }
        }
    }
    Ok(names)
}

fn found<'r>(router: &'r Router, dialect: &Dialect, method: &Method, tail: &str) -> Option<&'r router::Rows> {
    let segments = router::segments(tail);
    let whole = router.find(dialect.api, method, &segments, false);
    let without_project = || match segments.get(1..) {
        Some(rest) if dialect.takes_project => router.find(dialect.api, method, rest, false),
        Some(_) | None => Found::Nothing,
    };
    match whole {
        Found::Rows(rows, _) => Some(rows),
        Found::OtherMethods(_) | Found::Nothing => match without_project() {
            Found::Rows(rows, _) => Some(rows),
            Found::OtherMethods(_) | Found::Nothing => None,
        },
    }
}

/// The caller as a token would make them.
fn caller(rules: &Rules, asker: &Asker) -> Result<Caller, String> {
    let domain = || "default".parse().map_err(|_| "the default domain has an id".to_owned());
    let project = |id: &String| id.parse().map_err(|_| format!("{id:?} cannot be the id of a project"));
    let mut caller = Caller {
        user_id: asker.user.parse().map_err(|_| format!("{:?} cannot be the id of a user", asker.user))?,
        user_name: asker.user.as_str().into(),
        user_domain_id: domain()?,
        project_id: asker.project.as_ref().map(project).transpose()?,
        project_domain_id: asker.project.as_ref().map(|_| domain()).transpose()?,
        domain_id: None,
        system: asker.project.is_none(),
        roles: asker.roles.clone(),
        is_admin: false,
        expires_at_seconds: 0,
        audit_ids: Vec::new(),
        methods: Vec::new(),
        issued_at_seconds: 0,
        application_credential_id: None,
    };
    let verdicts = Verdicts::none();
    let case = Case { credentials: &caller, target: &(), verdicts: &verdicts };
    caller.is_admin = rules.evaluate("context_is_admin", case) == Outcome::Allowed;
    Ok(caller)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::rule::RuleText;
    use crate::policy::rules::Settings as Meaning;

    const UPDATE: &str = "os_compute_api:server-metadata:update";

    fn rules(overrides: &[(&str, &str)]) -> Rules {
        let overrides =
            overrides.iter().map(|(name, text)| (name.to_string(), RuleText::Text(text.to_string()))).collect();
        Rules::new(overrides, &table::defaults(), &Meaning::default())
    }

    fn question(rule: &str, roles: &[&str], target_project: &str) -> Question {
        let roles: Vec<String> = roles.iter().map(|role| role.to_string()).collect();
        Question {
            rule: rule.to_owned(),
            caller: Asker { user: "u".to_owned(), roles: implied(&roles), project: Some("blue".to_owned()) },
            target: Target(vec![("project_id".to_owned(), target_project.to_owned())]),
            file: None,
        }
    }

    fn explain(question: &Question) -> (String, bool) {
        explained(&rules(&[]), question).expect("a question that can be answered")
    }

    #[test]
    fn a_role_brings_the_lesser_ones() {
        assert_eq!(implied(&["member".to_owned()]), ["member", "reader"]);
        assert_eq!(implied(&["other".to_owned(), "reader".to_owned()]), ["other", "reader"]);
    }

    #[test]
    fn a_reader_learns_which_check_fails() {
        let (text, allowed) = explain(&question(UPDATE, &["reader"], "blue"));
        assert!(!allowed);
        assert!(text.contains("role:member: false (roles is [\"reader\"]; wanted \"member\")"), "{text}");
    }

    #[test]
    fn a_request_names_its_rule() {
        for request in [
            "PUT /servers/{server_id}/metadata/{key}",
            "PUT /v2.1/servers/s1/metadata/color",
            "PUT /v2/abc123/servers/s1/metadata/color",
        ] {
            let (text, allowed) = explain(&question(request, &["member"], "blue"));
            assert!(allowed && text.contains(&format!("{UPDATE}: allowed\n")), "{request}: {text}");
        }
    }

    #[test]
    fn an_administrator_may_in_another_project_and_others_are_told_of_the_404() {
        assert!(explain(&question(UPDATE, &["admin"], "green")).1);
        let (text, allowed) = explain(&question(UPDATE, &["member"], "green"));
        assert!(!allowed && text.contains("404"), "{text}");
    }

    #[test]
    fn a_system_token_does_not_reach_a_project_rule() {
        let mut asked = question(UPDATE, &["admin"], "blue");
        asked.caller.project = None;
        let (text, allowed) = explain(&asked);
        assert!(!allowed && text.contains("scoped to a project"), "{text}");
    }

    #[test]
    fn a_misspelt_rule_is_not_explained_as_another() {
        let misspelt = question("os_compute_api:server-metadata:updat", &[], "blue");
        let error = explained(&rules(&[]), &misspelt).expect_err("no such rule");
        assert!(error.contains(UPDATE), "{error}");
    }
}
