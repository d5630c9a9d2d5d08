//! What tokens say, written and read again. That they are sealed is with the keys.

use proptest::prelude::*;

use super::*;

pub const NOW: i64 = 1_790_000_000;

pub fn token() -> Token {
    Token {
        user_id: "6f8d1b2c3a4e5f60718293a4b5c6d7e8".to_owned(),
        scope: Scope::Project("0123456789abcdef0123456789abcdef".to_owned()),
        methods: [Method::Password].into_iter().collect(),
        issued_at: NOW,
        expires_at: NOW + 3600,
        audit_ids: vec!["VcxU2JYqT8OzfUVvrjEITQ".to_owned()],
        application_credential_id: None,
    }
}

#[test]
fn what_is_inside_may_not_be_longer_than_what_is_read() {
    let mut said = Vec::new();
    write_token(&mut said, &token());
    assert!(read_token(&said, NOW).is_some());
    said.push(0);
    assert!(read_token(&said, NOW).is_none());
}

#[test]
fn methods_are_listed_as_keystone_lists_them() {
    let methods: Methods = [Method::Password, Method::ApplicationCredential, Method::Token].into_iter().collect();
    assert_eq!(methods.iter().map(Method::name).collect::<Vec<_>>(), ["application_credential", "token", "password"]);
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[0-9a-f]{32}", "[A-Za-z0-9_-]{22}", "[0-9a-f]{0,70}", any::<String>()]
}

fn any_scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        Just(Scope::Unscoped),
        any_text().prop_map(Scope::Project),
        any_text().prop_map(Scope::Domain),
        Just(Scope::System)
    ]
}

proptest! {
    #[test]
    fn any_token_comes_back(
        user_id in any_text(), scope in any_scope(), bits in 0u8..8, issued_at: i64, expires_at: i64,
        audit_ids in prop::collection::vec(any_text(), 0..4), application_credential_id in prop::option::of(any_text()),
    ) {
        let methods = Methods(bits);
        let token = Token { user_id, scope, methods, issued_at, expires_at, audit_ids, application_credential_id };
        let mut said = Vec::new();
        write_token(&mut said, &token);
        prop_assert_eq!(read_token(&said, issued_at), Some(token));
    }

    #[test]
    fn no_bytes_inside_make_reading_panic(said: Vec<u8>) {
        let _any = read_token(&said, NOW);
    }
}
