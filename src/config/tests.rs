//! Settings: who wins, what is refused and in which words.

use super::*;

fn sources() -> Sources {
    Sources { config: None, flags: vec![], environment: vec![("HOME".into(), "/nowhere/at/all".into())] }
}

fn with_file(text: &str) -> (tempfile::TempDir, Sources) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("k.toml");
    std::fs::write(&path, text).expect("a file in it");
    (dir, Sources { config: Some(path), ..sources() })
}

fn refusal(sources: &Sources) -> String {
    let errors = load(sources).expect_err("these settings are wrong");
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn set(sources: &mut Sources, variable: &str, value: &str) {
    sources.environment.push((variable.into(), value.into()));
}

#[test]
fn the_defaults_are_those_of_openstack() {
    let settings = load(&sources()).expect("defaults are right").settings;
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8774");
    assert_eq!(settings.max_request_body_bytes, 114_688);
    assert_eq!(settings.quota.injected_file_content_bytes, 10_240);
    assert_eq!(settings.data_dir, Path::new("/nowhere/at/all/.local/share/kilonova"));
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default() {
    let (_dir, mut sources) = with_file("region = 'file'\nmax_limit = 5\n[quota]\ncores = 6\nram = 7");
    set(&mut sources, "KILONOVA_REGION", "environment");
    set(&mut sources, "KILONOVA_QUOTA_CORES", "8");
    sources.flags.push(("region", "flag".into()));
    let settings = load(&sources).expect("all of these are right").settings;
    assert_eq!(settings.region, "flag");
    assert_eq!((settings.quota.cores, settings.quota.ram, settings.quota.instances), (8, 7, 10));
    assert_eq!(settings.max_limit, 5);
}

#[test]
fn every_field_of_the_settings_is_in_the_table() {
    let settings = format!("{:#?}", Settings::blank());
    let fields = settings.lines().filter(|line| line.contains(": ") && !line.ends_with(" {")).count();
    assert_eq!(fields, TABLE.len());
}

#[test]
fn the_sample_sets_nothing() {
    let (_dir, sources) = with_file(&sample());
    assert_eq!(load(&sources).expect("a sample is right").settings, load(&super::tests::sources()).unwrap().settings);
}

#[test]
fn the_sample_with_its_marks_removed_sets_the_defaults() {
    let uncommented = |line: &str| match line.strip_prefix('#') {
        Some(setting) if !setting.starts_with(' ') => setting.to_owned(),
        _ => line.to_owned(),
    };
    let text = sample().lines().map(uncommented).collect::<Vec<_>>().join("\n");
    let (_dir, sources) = with_file(&text);
    let loaded = load(&sources).expect("a sample is right");
    assert_eq!(loaded.settings, load(&super::tests::sources()).unwrap().settings);
    for (setting, (_, origin)) in TABLE.iter().zip(&loaded.rows) {
        assert!(
            setting.default.is_empty() || matches!(origin, Origin::File(_)),
            "{} is not in the sample",
            setting.name
        );
    }
}

#[test]
fn what_is_shown_can_be_read_again() {
    let (_dir, mut sources) = with_file("policy_dirs = ['/a', '/b c']");
    set(&mut sources, "KILONOVA_QUOTA_CORES", "-1");
    let loaded = load(&sources).expect("right");
    let (_dir, again) = with_file(&loaded.show());
    assert_eq!(load(&again).expect("what is shown is right").settings, loaded.settings);
}

#[test]
fn an_unknown_name_is_refused_with_the_nearest_known_one() {
    let (_dir, sources) = with_file("[quotas]\nmetadata_item = 3");
    assert!(
        refusal(&sources)
            .ends_with(r#"k.toml: there is no setting "quotas.metadata_item"; the nearest is "quota.metadata_items""#)
    );
}

#[test]
fn an_unknown_group_is_refused_even_if_it_is_empty() {
    let (_dir, sources) = with_file("[kwota]");
    assert!(refusal(&sources).contains(r#"no setting "kwota""#));
}

#[test]
fn a_wrong_value_is_refused_with_its_name_origin_value_and_what_is_allowed() {
    let mut sources = sources();
    set(&mut sources, "KILONOVA_PASSWORD_HASH_ROUNDS", "17");
    assert_eq!(
        refusal(&sources),
        "password_hash_rounds (environment variable KILONOVA_PASSWORD_HASH_ROUNDS) is \"17\"; \
         allowed: a whole number from 4 to 16"
    );
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let (_dir, mut sources) = with_file("max_limit = '5'\ncors = 4");
    sources.flags.push(("listen", "localhost".into()));
    let refusal = refusal(&sources);
    assert!(refusal.contains("\"cors\"") && refusal.contains("max_limit (in ") && refusal.contains("flag --listen"));
}

#[test]
fn values_outside_their_bounds_are_refused() {
    let wrong = [
        ("listen", "8774"),
        ("database", "mysql://h/d"),
        ("public_url", "ftp://h"),
        ("public_url", "http://h/?q"),
        ("public_url", "/v3"),
        ("region", ""),
        ("log_level", "loud"),
        ("log_format", "xml"),
        ("drain_seconds", "-1"),
        ("quota.cores", "-2"),
        ("enforce_new_defaults", "yes"),
        ("connections_max", "0"),
        ("max_limit", "99999999999999999999"),
    ];
    for (name, value) in wrong {
        let sources = Sources { flags: vec![(name, value.into())], ..sources() };
        assert!(load(&sources).is_err(), "{name} = {value:?} must be refused");
    }
}

#[test]
fn a_password_is_neither_shown_nor_part_of_a_refusal() {
    let mut sources = sources();
    set(&mut sources, "KILONOVA_DATABASE", "postgres://nova:s3cr/et@db/nova");
    let loaded = load(&sources).expect("a PostgreSQL URL is right");
    assert!(loaded.show().contains("postgres://nova:***@db/nova"));
    assert!(!format!("{:?}", loaded.settings).contains("s3cr"));
    sources.environment.last_mut().unwrap().1 = "postgre://nova:s3cret@db/nova".into();
    assert!(refusal(&sources).contains("nova:***@db"));
}

#[test]
fn a_password_is_masked_wherever_it_stands() {
    for text in ["postgres://u:s3c@x@h/d", "u:s3c@h", "postgres://h/d?user=u&password=s3c", "host=h password=s3c"] {
        assert!(!given::without_password(text).contains("s3c"), "{text}");
    }
    assert_eq!(given::without_password("http://h:80/a"), "http://h:80/a");
}

#[test]
fn a_file_that_is_not_toml_is_refused_with_the_line_and_without_its_text() {
    let (_dir, sources) = with_file("region = 'a'\ndatabase = s3cret");
    let refusal = refusal(&sources);
    assert!(refusal.contains("k.toml, line 2: ") && !refusal.contains("s3cret"), "{refusal}");
}

#[test]
fn a_file_that_was_asked_for_must_exist() {
    let sources = Sources { config: Some("/nowhere/k.toml".into()), ..sources() };
    assert!(refusal(&sources).starts_with("cannot read /nowhere/k.toml: "));
}

#[test]
fn the_file_in_the_data_directory_is_read_unless_another_is_given() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("kilonova.toml"), "max_limit = 9").unwrap();
    let mut sources = sources();
    sources.flags.push(("data_dir", dir.path().to_str().unwrap().to_owned()));
    assert_eq!(load(&sources).unwrap().settings.max_limit, 9);
    let (_dir, other) = with_file("region = 'x'");
    sources.config = other.config;
    assert_eq!(load(&sources).unwrap().settings.max_limit, 1000);
}

#[test]
fn the_file_in_the_data_directory_cannot_move_the_data_directory() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("kilonova.toml"), "data_dir = '/elsewhere'").unwrap();
    let mut sources = sources();
    set(&mut sources, "KILONOVA_DATA_DIR", dir.path().to_str().unwrap());
    assert!(refusal(&sources).contains("data_dir cannot be set in the file"));
}

#[test]
fn a_relative_path_in_a_file_is_relative_to_the_file() {
    let (dir, sources) = with_file("policy_file = 'p.yaml'");
    assert_eq!(load(&sources).unwrap().settings.policy_file, Some(dir.path().join("p.yaml")));
}

#[test]
fn variables_that_set_nothing_are_reported_and_not_refused() {
    let mut sources = sources();
    set(&mut sources, "KILONOVA_SERVICE_HOST", "10.0.0.1");
    assert_eq!(load(&sources).unwrap().unknown_environment, ["KILONOVA_SERVICE_HOST"]);
}

#[test]
fn flags_and_variables_are_all_different() {
    let mut names: Vec<_> = TABLE.iter().flat_map(|setting| [setting.flag(), setting.variable()]).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 2 * TABLE.len());
}

#[test]
fn the_public_url_follows_the_address_unless_it_is_set() {
    let mut settings = load(&sources()).unwrap().settings;
    assert_eq!(settings.public_url_at("0.0.0.0:99".parse().unwrap()), "http://127.0.0.1:99");
    assert_eq!(settings.public_url_at("[::1]:99".parse().unwrap()), "http://[::1]:99");
    settings.tls_certificate_file = Some("c.pem".into());
    assert_eq!(settings.public_url_at("[::1]:99".parse().unwrap()), "https://[::1]:99");
    settings.public_url = Some("https://cloud.example".into());
    assert_eq!(settings.public_url_at("0.0.0.0:99".parse().unwrap()), "https://cloud.example");
}

#[test]
fn a_certificate_without_its_key_is_refused_and_the_other_way_round() {
    for (set, missing) in [("tls_certificate_file", "tls_key_file"), ("tls_key_file", "tls_certificate_file")] {
        let mut sources = sources();
        sources.flags.push((set, "x.pem".into()));
        assert_eq!(refusal(&sources), format!("{set} is set and {missing} is not; set both or neither"));
    }
}
