//! The catalog: where the services are, for whom. URLs are kept with gaps, so that they follow the server's address.

use crate::store::identity::Entry;
use crate::store::{StoreError, Tx, identity as rows};

/// A service with the places where it is found.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// `compute`, `image`…
    pub service_type: String,
    /// `nova`, `glance`…
    pub name: String,
    /// Where.
    pub endpoints: Vec<Place>,
}

/// One endpoint with its gaps filled in.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its id.
    pub id: String,
    /// `public`, `internal` or `admin`.
    pub interface: String,
    /// The region.
    pub region_id: Option<String>,
    /// The URL.
    pub url: String,
}

/// What fills the gaps of URLs.
#[derive(Debug, Clone, Copy)]
pub struct Gaps<'a> {
    /// Where clients reach this server.
    pub public_url: &'a str,
    /// The user.
    pub user_id: &'a str,
    /// The project, if the token is for one.
    pub project_id: Option<&'a str>,
}

/// The catalog. Endpoints whose URL needs a project are left out where there is none, as Keystone does.
///
/// # Errors
/// The store's.
pub fn catalog(tx: &mut dyn Tx, gaps: Gaps<'_>) -> Result<Vec<Listed>, StoreError> {
    let mut services: Vec<Listed> = Vec::new();
    for entry in rows::catalog(tx)? {
        if services.last().is_none_or(|last| last.id != entry.service.id) {
            services.push(Listed {
                id: entry.service.id.clone(),
                service_type: entry.service_type.clone(),
                name: entry.service.name.clone(),
                endpoints: Vec::new(),
            });
        }
        if let (Some(last), Some(place)) = (services.last_mut(), place(entry, gaps)) {
            last.endpoints.push(place);
        }
    }
    Ok(services)
}

fn place(entry: Entry, gaps: Gaps<'_>) -> Option<Place> {
    let url = filled(&entry.url, gaps)?;
    Some(Place { id: entry.endpoint_id?, interface: entry.interface, region_id: entry.region_id, url })
}

/// A URL with its gaps filled in; `None` where one cannot be, or is unknown. `%(name)s` is as good as `$(name)s`.
pub fn filled(template: &str, gaps: Gaps<'_>) -> Option<String> {
    let mut url = String::with_capacity(template.len() + gaps.public_url.len());
    let mut rest = template;
    while let Some(at) = ["$(", "%("].iter().filter_map(|open| rest.find(open)).min() {
        let (before, gap) = rest.split_at(at);
        let (name, after) = gap[2..].split_once(")s")?;
        url.push_str(before);
        url.push_str(match name {
            "public_url" => gaps.public_url,
            "project_id" | "tenant_id" => gaps.project_id?,
            "user_id" => gaps.user_id,
            _ => return None,
        });
        rest = after;
    }
    url.push_str(rest);
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAPS: Gaps<'_> = Gaps { public_url: "http://k", user_id: "u", project_id: Some("p") };

    #[test]
    fn gaps_are_filled_in_either_spelling() {
        for (template, url) in [
            ("$(public_url)s/v2.1", "http://k/v2.1"),
            ("http://x/%(tenant_id)s/$(project_id)s", "http://x/p/p"),
            ("http://x/$(user_id)s?a=100%", "http://x/u?a=100%"),
        ] {
            assert_eq!(filled(template, GAPS).as_deref(), Some(url));
        }
    }

    #[test]
    fn a_url_that_needs_a_project_is_nothing_without_one() {
        let nowhere = Gaps { project_id: None, ..GAPS };
        assert_eq!(filled("http://x/$(project_id)s", nowhere), None);
        assert_eq!(filled("http://x/$(unknown)s", GAPS), None);
        assert_eq!(filled("http://x/$(broken", GAPS), None);
    }
}
