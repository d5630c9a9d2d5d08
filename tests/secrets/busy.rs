//! Everything that has to do with secrets, done rightly and wrongly.

use std::io::Write;
use std::net::TcpStream;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kilonova::json::Json;

use crate::forms::{
    ADMIN_PASS, CHANGED, CREDENTIAL, EXTRA, HEADER, METADATA, PERSONALITY, QUERY, RIGHT, USER_DATA, WRONG,
};
use crate::http;
use crate::server::{Server, raw, text};

/// Everything that has to do with secrets, done rightly and wrongly; the secrets that the server made up.
pub fn busy(server: &Server) -> Vec<String> {
    let clouds = server.clouds();
    let mut made: Vec<String> =
        clouds.lines().filter_map(|line| line.trim().strip_prefix("password: ")).map(str::to_owned).collect();
    assert_eq!(made.len(), 2, "{clouds}");
    let token = http::log_in(server.address, &clouds, "admin").expect("admin can log in");
    let mut admin = server.client(&token);
    let mut nobody = server.client("");
    made.push(token);
    let user = format!(r#"{{"user": {{"name": "joe", "password": "{RIGHT}", "note": "{EXTRA}"}}}}"#);
    let user = text(&admin.ask("POST", "/identity/v3/users", &user), &["user", "id"]);
    // again, and wrongly
    assert_eq!(
        admin
            .ask("POST", "/identity/v3/users", &format!(r#"{{"user": {{"name": "joe", "password": "{RIGHT}"}}}}"#))
            .status(),
        409
    );
    assert_eq!(
        admin
            .ask("POST", "/identity/v3/users", &format!(r#"{{"user": {{"name": 5, "password": "{RIGHT}"}}}}"#))
            .status(),
        400
    );
    for body in [
        format!(
            r#"{{"auth": {{"identity": {{"methods": ["password"], "password": {{"user": {{"id": "{user}", "password": "{WRONG}"}}}}}}}}}}"#
        ),
        format!(
            r#"{{"auth": {{"identity": {{"methods": ["password"], "password": {{"user": {{"id": "{user}", "password": ["{WRONG}"]}}}}}}}}}}"#
        ),
        format!(r#"{{"auth": {{"identity": {{"methods": ["password"], "password": "{WRONG}"}}}}}}"#),
        format!(r#"{{"auth": {{"identity": {{"methods": ["{WRONG}"]}}}}}}"#),
        format!(r#"{{"auth": "{WRONG}" "#),
    ] {
        let status = nobody.ask("POST", "/identity/v3/auth/tokens", &body).status();
        assert!(matches!(status, 400 | 401), "{body}: {status}");
    }
    let body = format!(r#"{{"user": {{"original_password": "{WRONG}", "password": "{CHANGED}"}}}}"#);
    let path = format!("/identity/v3/users/{user}/password");
    assert_eq!(nobody.ask("POST", &path, &body).status(), 401);
    assert_eq!(nobody.ask("POST", &path, &body.replace(WRONG, RIGHT)).status(), 204);
    let me = text(&admin.ask("GET", "/identity/v3/users?name=admin", ""), &["links", "self"]);
    assert!(me.contains("name=admin"));
    // demo's own: an application credential, an API key, a key pair, servers
    let token = http::log_in(server.address, &clouds, "demo").expect("demo can log in");
    let mut demo = server.client(&token);
    made.push(token.clone());
    let keys = demo.ask("GET", "/v2.1/os-keypairs", "");
    assert_eq!(keys.status(), 200);
    let said = demo.ask("POST", "/v2.1/os-keypairs", r#"{"keypair": {"name": "k"}}"#);
    let private = text(&said, &["keypair", "private_key"]);
    made.extend(private.lines().filter(|line| line.len() > 40 && !line.starts_with("---")).skip(1).map(str::to_owned));
    let demo_id = text(&said, &["keypair", "user_id"]);
    let path = format!("/identity/v3/users/{demo_id}/application_credentials");
    let body = format!(r#"{{"application_credential": {{"name": "mine", "secret": "{CREDENTIAL}"}}}}"#);
    assert_eq!(demo.ask("POST", &path, &body).status(), 201);
    assert_eq!(demo.ask("POST", &path, &body).status(), 409);
    made.push(text(
        &demo.ask("POST", &path, r#"{"application_credential": {"name": "other"}}"#),
        &["application_credential", "secret"],
    ));
    let path =
        format!("/identity/v2.0/users/{demo_id}/OS-KSADM/credentials/RAX-KSKEY:apiKeyCredentials/RAX-AUTH/reset");
    made.push(text(&demo.ask("POST", &path, ""), &["RAX-KSKEY:apiKeyCredentials", "apiKey"]));
    let images = demo.ask("GET", "/image/v2/images", "").json().expect("JSON");
    let image =
        images.get("images").and_then(Json::as_array).and_then(|images| images[0].get("id")?.as_str()).expect("one");
    let server_body = |more: &str| {
        format!(
            r#"{{"server": {{"name": "s", "imageRef": "{image}", "flavorRef": "1", "metadata": {{"k": "{METADATA}"}}, "user_data": "{}"{more}}}}}"#,
            STANDARD.encode(USER_DATA)
        )
    };
    let files = format!(r#", "personality": [{{"path": "/a", "contents": "{}"}}]"#, STANDARD.encode(PERSONALITY));
    let said = demo.ask("POST", "/v2.1/servers", &server_body(&files));
    made.push(text(&said, &["server", "adminPass"]));
    let id = text(&said, &["server", "id"]);
    assert_eq!(
        demo.ask("POST", "/v2.1/servers", &server_body(&format!(r#", "adminPass": "{ADMIN_PASS}""#))).status(),
        202
    );
    assert_eq!(
        demo.ask("POST", "/v2.1/servers", &server_body(&format!(r#", "adminPass": ["{ADMIN_PASS}"]"#))).status(),
        400
    );
    // it is up when its work is done
    let path = format!("/v2.1/servers/{id}");
    while text(&demo.ask("GET", &path, ""), &["server", "status"]) == "BUILD" {
        std::thread::yield_now();
    }
    for body in [
        format!(r#"{{"changePassword": {{"adminPass": "{ADMIN_PASS}"}}}}"#),
        format!(r#"{{"rescue": {{"adminPass": "{ADMIN_PASS}"}}}}"#),
        format!(r#"{{"rebuild": {{"imageRef": "{image}", "adminPass": "{ADMIN_PASS}"}}}}"#),
        format!(r#"{{"changePassword": {{"adminPass": {{"{ADMIN_PASS}": 1}}}}}}"#),
    ] {
        let status = demo.ask("POST", &format!("{path}/action"), &body).status();
        assert!(status < 500 || status == 501, "{body}: {status}");
    }
    // a rule that asks a program which is not there
    assert_eq!(demo.ask("GET", "/v2.1/limits", "").status(), 500);
    // where secrets do not belong
    assert_eq!(nobody.ask("GET", &format!("/v2.1/servers?token={QUERY}&password={QUERY}"), "").status(), 401);
    let escaped: String = token.bytes().map(|byte| format!("%{byte:02x}")).collect();
    for path in [format!("/identity/v2.0/tokens/{token}"), format!("/identity/v2.0/tokens/{escaped}/endpoints")] {
        assert_eq!(demo.ask("GET", &path, "").status(), 404);
    }
    for request in [
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic {HEADER}\r\nX-Auth-Token: {HEADER}\r\nConnection: close\r\n\r\n"
        ),
        format!("GET /v2.1/servers HTTP/1.1\r\nHost: a\r\nX-Auth-Token: {HEADER}\r\nX-Auth-Token {HEADER}\r\n\r\n"),
        format!("{HEADER}\r\n\r\n"),
        format!(
            "POST /identity/v3/auth/tokens HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n{{\"password\": \"{HEADER}"
        ),
        format!("POST /identity/v3/auth/tokens HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{HEADER}\r\n"),
    ] {
        if request.contains("5000") {
            // hung up in the middle of a body
            let mut stream = TcpStream::connect(server.address).expect("it accepts connections");
            stream.write_all(request.as_bytes()).expect("it reads");
        } else {
            raw(server.address, &request);
        }
    }
    made
}
