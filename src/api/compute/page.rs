//! Pages: how much of a list one answer has.

use crate::api::call::Call;
use crate::api::schema::{Rule, Schema, Type, parameter_types};

/// At most so many: what the client asks for, never more than the setting `max_limit`. The query has passed its schema.
pub fn limit(call: &Call) -> u32 {
    let max = call.cloud.settings.max_limit;
    match call.query.last("limit") {
        // a number too large to be read is larger than any limit of ours
        Some(text) => text.trim().parse().unwrap_or(max).min(max),
        None => max,
    }
}

/// What `limit` may be in a query.
pub static LIMITS: Schema =
    Schema::new(&[Rule::Type(&[Type::Array]), Rule::Items(&parameter_types::NON_NEGATIVE_INTEGER)]);
