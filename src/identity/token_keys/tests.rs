//! What the keys of tokens do, in memory and in their directory.

use proptest::prelude::*;
use tempfile::TempDir;

use super::super::owned::tests::all_belongs_to_the_owner_after;
use super::super::random::os_random;
use super::super::token::Scope;
use super::super::token::tests::{NOW, token};
use super::*;

/// Keys in memory that are always the same.
fn keys(seeds: &[u8]) -> TokenKeys {
    let key = |seed: &u8| Fernet::new(&URL_SAFE.encode([*seed; 32])).expect("32 bytes");
    TokenKeys { keys: seeds.iter().map(key).collect() }
}

fn comes_back(token: &Token) {
    let keys = keys(&[1]);
    assert_eq!(keys.open_expired(&keys.seal(token)).as_ref(), Ok(token));
}

#[test]
fn a_token_comes_back_as_it_went() {
    comes_back(&token());
}

#[test]
fn every_scope_comes_back() {
    let scopes = [Scope::Unscoped, Scope::Project("p".into()), Scope::Domain("default".into()), Scope::System];
    scopes.into_iter().for_each(|scope| comes_back(&Token { scope, ..token() }));
}

#[test]
fn an_application_credential_comes_back() {
    comes_back(&Token { application_credential_id: Some("ab".repeat(16)), ..token() });
}

#[test]
fn a_usual_token_has_at_most_164_characters() {
    let text = keys(&[1]).seal(&token());
    assert!(text.len() <= 164, "{}", text.len());
}

#[test]
fn a_text_is_url_safe_and_starts_like_any_fernet_token() {
    let text = keys(&[1]).seal(&token());
    assert!(text.starts_with("gAAAAA"));
    assert!(text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_'), "{text}");
}

#[test]
fn one_token_sealed_twice_gives_two_texts() {
    let keys = keys(&[1]);
    assert_ne!(keys.seal(&token()), keys.seal(&token()));
}

#[test]
fn a_token_is_good_until_the_second_it_expires() {
    let keys = keys(&[1]);
    let text = keys.seal(&token());
    assert!(keys.open(&text, NOW + 3599).is_ok());
    assert_eq!(keys.open(&text, NOW + 3600), Err(BadToken::Expired));
}

#[test]
fn a_token_of_a_machine_whose_clock_is_ahead_is_good() {
    let keys = keys(&[1]);
    assert!(keys.open(&keys.seal(&token()), NOW - 300).is_ok());
}

#[test]
fn a_change_of_any_character_is_refused() {
    let keys = keys(&[1]);
    let text = keys.seal(&token());
    for at in 0..text.len() {
        for other in ['A', 'B', 'Q', '_', '=', '!', 'é'].into_iter().filter(|c| !text[at..].starts_with(*c)) {
            let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            assert!(keys.open_expired(&changed).is_err(), "{other} at {at}");
        }
    }
}

#[test]
fn a_change_of_any_bit_is_a_forgery_unless_it_breaks_the_form() {
    let keys = keys(&[1]);
    let bytes = URL_SAFE_NO_PAD.decode(keys.seal(&token())).expect("a token is base64url");
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let refused = if bit < 8 { BadToken::Malformed } else { BadToken::Forged };
        assert_eq!(keys.open_expired(&URL_SAFE_NO_PAD.encode(changed)), Err(refused), "bit {bit}");
    }
}

#[test]
fn a_token_that_was_cut_or_lengthened_is_refused() {
    let keys = keys(&[1]);
    let text = keys.seal(&token());
    (0..text.len()).for_each(|length| assert!(keys.open_expired(&text[..length]).is_err(), "{length}"));
    for tail in ["=", "==", "A", "AAAA", " ", "\n"] {
        assert!(keys.open_expired(&format!("{text}{tail}")).is_err(), "{tail:?}");
    }
}

#[test]
fn what_is_no_token_at_all_is_malformed() {
    for text in ["", "gAAAAA", "d7f2b1c0-33aa-4a0c-9d53-000000000000", "é", &"A".repeat(200)] {
        assert_eq!(keys(&[1]).open_expired(text), Err(BadToken::Malformed), "{text}");
    }
}

#[test]
fn a_token_of_a_strange_key_is_a_forgery() {
    assert_eq!(keys(&[1]).open(&keys(&[2]).seal(&token()), NOW), Err(BadToken::Forged));
}

#[test]
fn a_token_of_an_older_key_is_opened() {
    assert_eq!(keys(&[3, 2, 1]).open(&keys(&[1]).seal(&token()), NOW), Ok(token()));
}

#[test]
fn what_our_key_has_sealed_for_another_program_is_malformed() {
    let keys = keys(&[1]);
    for said in
        [&b""[..], b"\x02", b"\x01", b"\x97\x02\xc4\x10", b"\x01\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"]
    {
        let text = keys.keys[0].encrypt_at_time(said, NOW as u64);
        assert_eq!(keys.open_expired(text.trim_end_matches('=')), Err(BadToken::Malformed), "{said:x?}");
    }
}

#[test]
fn a_token_sealed_by_the_python_library_has_our_form() {
    // The vector of the Fernet specification (generate.json), which both libraries must open.
    let key = Fernet::new("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=").expect("a key");
    let text = "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA";
    assert_eq!(unseal(&key, text).as_deref(), Some(&b"hello"[..]));
    assert_eq!(timestamp(text), Some(499_162_800));
}

proptest! {
    #[test]
    fn no_text_makes_opening_panic(text: String) {
        prop_assert!(keys(&[1]).open(&text, NOW).is_err());
    }
}

// The directory.

fn names(dir: &TempDir) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir.path())
        .expect("the directory")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
        .filter(|name| name != ".lock")
        .collect();
    names.sort();
    names
}

fn fresh() -> (TempDir, TokenKeys) {
    let dir = TempDir::new().expect("a directory");
    let keys = TokenKeys::load_or_create(dir.path(), &mut os_random).expect("keys");
    (dir, keys)
}

#[test]
fn the_first_start_makes_a_key_that_seals_and_the_next_one() {
    let (dir, keys) = fresh();
    assert_eq!((names(&dir), keys.keys.len()), (vec!["0".to_owned(), "1".to_owned()], 2));
}

#[test]
fn keys_are_readable_by_us_alone() {
    let (dir, _) = fresh();
    for name in names(&dir) {
        let mode = fs::metadata(dir.path().join(name)).expect("a key").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_directory_that_is_made_is_ours_alone() {
    let dir = TempDir::new().expect("a directory");
    let inner = dir.path().join("a/keys");
    TokenKeys::load_or_create(&inner, &mut os_random).expect("keys");
    assert_eq!(fs::metadata(inner).expect("made").permissions().mode() & 0o777, 0o700);
}

#[test]
fn another_process_opens_what_this_one_seals() {
    let (dir, keys) = fresh();
    let other = TokenKeys::load_or_create(dir.path(), &mut os_random).expect("the same keys");
    assert_eq!(other.open(&keys.seal(&token()), NOW), Ok(token()));
}

#[test]
fn a_directory_that_has_its_keys_is_only_read() {
    let (dir, keys) = fresh();
    fs::remove_file(dir.path().join(".lock")).expect("removed");
    let again = TokenKeys::load_or_create(dir.path(), &mut os_random).expect("the same keys");
    assert!(again.open(&keys.seal(&token()), NOW).is_ok());
    assert!(!dir.path().join(".lock").exists());
}

#[test]
fn processes_that_start_at_once_agree_on_the_keys() {
    let dir = TempDir::new().expect("a directory");
    let start = || TokenKeys::load_or_create(dir.path(), &mut os_random).expect("keys");
    let all: Vec<_> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
        started.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let text = all[0].seal(&token());
    assert!(all.iter().all(|keys| keys.open(&text, NOW).is_ok()));
}

/// After a rotation that removes nothing.
fn rotated(dir: &TempDir) -> TokenKeys {
    TokenKeys::rotate(dir.path(), SystemTime::UNIX_EPOCH, &mut os_random).expect("rotated");
    TokenKeys::load(dir.path()).expect("keys")
}

#[test]
fn tokens_outlive_a_rotation() {
    let (dir, keys) = fresh();
    let text = keys.seal(&token());
    let rotated = rotated(&dir);
    assert_eq!(rotated.open(&text, NOW), Ok(token()));
}

#[test]
fn a_process_that_has_not_seen_a_rotation_opens_tokens_sealed_after_it() {
    let (dir, before) = fresh();
    let rotated = rotated(&dir);
    assert_eq!(before.open(&rotated.seal(&token()), NOW), Ok(token()));
}

#[test]
fn a_rotation_seals_with_another_key() {
    let (dir, before) = fresh();
    let rotated = rotated(&dir);
    assert!(unseal(&before.keys[0], &rotated.seal(&token())).is_none());
}

#[test]
fn a_key_goes_when_another_has_sealed_for_so_long() {
    let (dir, keys) = fresh();
    let text = keys.seal(&token());
    for _ in 0..3 {
        rotated(&dir);
    }
    assert_eq!(names(&dir), ["0", "1", "2", "3", "4"]);
    let later = SystemTime::now() + Duration::from_secs(3600);
    let rotated = TokenKeys::rotate(dir.path(), later, &mut os_random).expect("rotated");
    // 4 has sealed until now
    assert_eq!((rotated.sealing, rotated.removed), (5, vec![1, 2, 3]));
    assert_eq!(names(&dir), ["0", "4", "5"]);
    let keys = TokenKeys::load(dir.path()).expect("keys");
    assert_eq!(keys.open(&text, NOW), Err(BadToken::Forged));
}

#[test]
fn a_rotation_that_crashed_half_way_is_finished_by_the_next() {
    let (dir, _) = fresh();
    fs::rename(dir.path().join("0"), dir.path().join("2")).expect("the first step");
    let rotate = || TokenKeys::rotate(dir.path(), SystemTime::UNIX_EPOCH, &mut os_random).expect("rotated");
    // the new next key is nobody else's yet, so it does not seal
    assert_eq!(rotate(), Rotated { sealing: 2, removed: vec![], was_interrupted: true });
    assert_eq!(names(&dir), ["0", "1", "2"]);
    assert_eq!(rotate(), Rotated { sealing: 3, removed: vec![], was_interrupted: false });
    assert_eq!(names(&dir), ["0", "1", "2", "3"]);
}

#[test]
fn keys_that_root_makes_belong_to_whom_the_directory_does() {
    let (dir, _) = fresh();
    all_belongs_to_the_owner_after(dir.path(), || {
        fs::remove_file(dir.path().join(".lock")).expect("removed");
        rotated(&dir);
    });
}

/// What is loaded where something happens just before the key of this name is read for the first time.
fn loaded_while(dir: &TempDir, name: &str, happens: &dyn Fn()) -> TokenKeys {
    let mut has_happened = false;
    let mut read = |path: &Path| {
        if path.ends_with(name) && !std::mem::replace(&mut has_happened, true) {
            happens();
        }
        read_key(path)
    };
    TokenKeys::load_by(dir.path(), &mut read).expect("keys")
}

#[test]
fn keys_that_are_loaded_during_a_rotation_open_what_is_sealed_after_it() {
    let (dir, _) = fresh();
    let rotate = || drop(rotated(&dir));
    let keys = loaded_while(&dir, "0", &rotate);
    assert_eq!(keys.open(&TokenKeys::load(dir.path()).expect("keys").seal(&token()), NOW), Ok(token()));
    // and between its two steps
    let keys = loaded_while(&dir, "0", &|| fs::rename(dir.path().join("0"), dir.path().join("3")).expect("renamed"));
    assert_eq!(keys.open(&TokenKeys::load(dir.path()).expect("keys").seal(&token()), NOW), Ok(token()));
}

#[test]
fn files_that_are_not_keys_are_left_alone() {
    let (dir, _) = fresh();
    fs::write(dir.path().join("README"), "keep").expect("written");
    rotated(&dir);
    assert!(names(&dir).contains(&"README".to_owned()));
}

#[test]
fn a_key_that_everybody_may_read_is_refused() {
    let (dir, _) = fresh();
    fs::set_permissions(dir.path().join("1"), fs::Permissions::from_mode(0o644)).expect("changed");
    assert!(matches!(TokenKeys::load(dir.path()), Err(KeysError::Exposed(_))));
}

#[test]
fn a_file_that_should_be_a_key_and_is_not_is_named() {
    let (dir, _) = fresh();
    fs::write(dir.path().join("1"), "short").expect("written");
    let error = TokenKeys::load(dir.path()).expect_err("no key");
    assert!(error.to_string().ends_with("/1 is not a Fernet key"), "{error}");
}

#[test]
fn a_directory_without_keys_opens_nothing() {
    let dir = TempDir::new().expect("a directory");
    assert!(matches!(TokenKeys::load(dir.path()), Err(KeysError::None(_))));
}

#[test]
fn debug_does_not_print_keys() {
    assert_eq!(format!("{:?}", keys(&[1, 2])), "2 token keys");
}

#[test]
#[ignore = "a measurement: cargo test --release -- --ignored --nocapture"]
fn measure_opening_and_sealing() {
    let keys = keys(&[1, 2, 3]);
    let text = keys.seal(&token());
    let old = TokenKeys { keys: keys.keys.iter().rev().cloned().collect() }.seal(&token());
    let turns = 200_000;
    let time = |what: &str, work: &dyn Fn()| {
        let began = std::time::Instant::now();
        (0..turns).for_each(|_| work());
        println!("{what}: {:?} ({} characters)", began.elapsed() / turns, text.len());
    };
    time("open", &|| drop(std::hint::black_box(keys.open(&text, NOW))));
    time("open with the third key", &|| drop(std::hint::black_box(keys.open(&old, NOW))));
    time("refuse a strange one", &|| {
        let _err = std::hint::black_box(keys.open(&text[4..], NOW));
    });
    time("decrypt alone", &|| drop(std::hint::black_box(unseal(&keys.keys[0], &text))));
    time("seal", &|| drop(std::hint::black_box(keys.seal(&token()))));
}
