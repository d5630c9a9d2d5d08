//! Pages: how much of a list one answer has.

use crate::api::call::Call;

/// At most so many: what the client asks for, never more than the setting `max_limit`. The query has passed its schema.
pub fn limit(call: &Call) -> u32 {
    let max = call.cloud.settings.max_limit;
    match call.query.last("limit") {
        // a number too large to be read is larger than any limit of ours
        Some(text) => text.trim().parse().unwrap_or(max).min(max),
        None => max,
    }
}
