//! What a storm rages over: a cloud with servers and images, made through the API.

use kilonova::json::Json;

use super::http::Client;
use super::process::Process;
use super::writers::Promises;

/// Clients that share a server or an image.
const SHARING: u64 = 8;

/// As long as a server may take to come up.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// A public image and the way to make servers of it.
pub struct Maker {
    image: String,
}

impl Maker {
    /// Looks for an image to boot from.
    pub fn new(client: &mut Client) -> Maker {
        let public = client.ask("GET", "/image/v2/images?visibility=public", "").json().expect("a list");
        let image =
            public.get("images").and_then(|images| images.as_array()?.first()?.get("id")?.as_str().map(str::to_owned));
        Maker { image: image.expect("the first start makes a public image") }
    }

    /// Makes a server; its id, if it was accepted.
    pub fn server(&self, client: &mut Client, name: &str) -> Option<String> {
        let body = format!(r#"{{"server": {{"name": "{name}", "imageRef": "{}", "flavorRef": "1"}}}}"#, self.image);
        let made = client.ask("POST", "/v2.1/servers", &body);
        made.json()?.get("server")?.get("id")?.as_str().map(str::to_owned).filter(|_| made.status() == 202)
    }

    /// Makes an image; its id.
    pub fn image(&self, client: &mut Client, name: &str) -> String {
        let body = format!(r#"{{"name": "{name}", "disk_format": "raw", "container_format": "bare"}}"#);
        let made = client.ask("POST", "/image/v2/images", &body).json();
        let id = made.as_ref().and_then(|json| json.get("id")?.as_str().map(str::to_owned));
        id.unwrap_or_else(|| panic!("no image was made: {made:?}"))
    }
}

/// Waits until a server is up; false where it failed, or nobody says for long.
pub fn comes_up(client: &mut Client, id: &str) -> bool {
    let begun = std::time::Instant::now();
    loop {
        let shown = client.ask("GET", &format!("/v2.1/servers/{id}"), "").json();
        let status =
            shown.as_ref().and_then(|json| json.get("server")?.get("status").and_then(Json::as_str).map(str::to_owned));
        match status.as_deref() {
            Some("ACTIVE") => return true,
            // or there is no room for the question at the moment
            Some("BUILD") | None if begun.elapsed() < PATIENCE => {
                std::thread::sleep(std::time::Duration::from_millis(5))
            }
            _ => return false,
        }
    }
}

/// So many clients with what they share and what they own: every other one works on images.
pub fn promises(process: &Process, token: &str, clients: u64) -> Vec<Promises> {
    let mut client = Client::new(process.address, token);
    let maker = Maker::new(&mut client);
    let mut shared = Vec::new();
    (0..clients)
        .map(|number| {
            let on_images = number % 2 == 1;
            let mut place = |name: &str| {
                if on_images {
                    return format!("/v2.1/images/{}/metadata", maker.image(&mut client, name));
                }
                let id = maker.server(&mut client, name).expect("a server is accepted");
                assert!(comes_up(&mut client, &id), "a server of the storm comes up");
                format!("/v2.1/servers/{id}/metadata")
            };
            let group = (number / (2 * SHARING) * 2 + number % 2) as usize;
            while shared.len() <= group {
                shared.push(None);
            }
            let path = shared[group].get_or_insert_with(|| place(&format!("shared{group}"))).clone();
            Promises::new(number, &path, &place(&format!("own{number}")))
        })
        .collect()
}
