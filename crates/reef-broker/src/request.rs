//! The few fields of a model request that the broker reads or changes. Everything else goes on byte for byte: an unknown
//! field is the provider's business.

use std::{fmt, ops::Range};

use reef_driver::agent::Dialect;
use reef_types::{ApiError, ErrorCode};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

/// What was found in a request, with where it stands.
#[derive(Debug)]
pub(crate) struct ModelRequest {
    pub(crate) model: String,
    pub(crate) stream: bool,
    /// OpenAI's `stream_options.include_usage`.
    pub(crate) include_usage: bool,
    model_at: Range<usize>,
    options: Option<(Range<usize>, Value)>,
    /// Just behind the opening brace.
    inside: usize,
}

impl ModelRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let Fields(fields) = serde_json::from_slice(body)
            .map_err(|_| ApiError::new(ErrorCode::InvalidJson, "the request body is not a JSON object"))?;
        let model = field(&fields, "model")?.ok_or_else(|| ApiError::field("model", "name a model"))?;
        let stream = field(&fields, "stream")?;
        let options = field(&fields, "stream_options")?;
        let options = match options {
            None => None,
            Some(raw) => Some((span(body, raw), read::<Value>("stream_options", raw)?)),
        };
        Ok(Self {
            model_at: span(body, model),
            model: read("model", model)?,
            stream: match stream {
                None => false,
                Some(raw) => read::<Option<bool>>("stream", raw)?.unwrap_or(false),
            },
            include_usage: options.as_ref().is_some_and(|(_, value)| value["include_usage"] == true),
            options,
            // It parsed as an object, so the first byte that is no white space is its brace.
            inside: body.iter().position(|byte| *byte == b'{').map_or(0, |at| at + 1),
        })
    }

    /// The body for the provider: its own name for the model, and for a stream of OpenAI's the wish to learn the usage.
    pub(crate) fn rewrite(&self, body: &[u8], upstream_model: &str, dialect: Dialect) -> Vec<u8> {
        let mut edits = vec![(self.model_at.clone(), Value::from(upstream_model).to_string())];
        if dialect == Dialect::OpenAiChat && self.stream && !self.include_usage {
            edits.push(match &self.options {
                Some((at, Value::Object(given))) => {
                    let mut options = given.clone();
                    options.insert("include_usage".to_owned(), Value::Bool(true));
                    (at.clone(), Value::Object(options).to_string())
                }
                Some((at, _)) => (at.clone(), r#"{"include_usage":true}"#.to_owned()),
                None => (self.inside..self.inside, r#""stream_options":{"include_usage":true},"#.to_owned()),
            });
        }
        edits.sort_by_key(|(at, _)| at.start);
        let mut out = Vec::with_capacity(body.len() + 64);
        let mut done = 0;
        for (at, text) in edits {
            out.extend_from_slice(&body[done..at.start]);
            out.extend_from_slice(text.as_bytes());
            done = at.end;
        }
        out.extend_from_slice(&body[done..]);
        out
    }
}

/// The top-level fields in their order, so that one that is given twice is seen.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    fields.push(entry);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// A field by name. Given twice, the provider might read the other one, so that is refused.
fn field<'a>(fields: &[(String, &'a RawValue)], name: &str) -> Result<Option<&'a RawValue>, ApiError> {
    let mut found = fields.iter().filter(|(key, _)| key == name);
    let first = found.next().map(|(_, raw)| *raw);
    if found.next().is_some() { Err(ApiError::field(name, "the field is given twice")) } else { Ok(first) }
}

fn read<'a, T: Deserialize<'a>>(name: &str, raw: &'a RawValue) -> Result<T, ApiError> {
    serde_json::from_str(raw.get()).map_err(|_| ApiError::field(name, "the field is not of the right type"))
}

/// Where a raw value, borrowed from `body`, stands in it.
fn span(body: &[u8], raw: &RawValue) -> Range<usize> {
    let start = raw.get().as_ptr().addr() - body.as_ptr().addr();
    start..start + raw.get().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(body: &str, dialect: Dialect) -> String {
        let request = ModelRequest::parse(body.as_bytes()).unwrap();
        String::from_utf8(request.rewrite(body.as_bytes(), "m\"1", dialect)).unwrap()
    }

    #[test]
    fn only_what_must_change_changes() {
        use Dialect::{AnthropicMessages as Anthropic, OpenAiChat as OpenAi};
        for (body, dialect, expect) in [
            (r#" {"z":1.10,"model" : "p/m","a":"\u0041"} "#, OpenAi, r#" {"z":1.10,"model" : "m\"1","a":"\u0041"} "#),
            (r#"{"model":"p/m","stream":false}"#, OpenAi, r#"{"model":"m\"1","stream":false}"#),
            (
                r#"{"model":"p/m","stream":true}"#,
                OpenAi,
                r#"{"stream_options":{"include_usage":true},"model":"m\"1","stream":true}"#,
            ),
            (
                r#"{"stream_options":{"x":1},"stream":true,"model":"p/m"}"#,
                OpenAi,
                r#"{"stream_options":{"include_usage":true,"x":1},"stream":true,"model":"m\"1"}"#,
            ),
            (
                r#"{"model":"p/m","stream_options":null,"stream":true}"#,
                OpenAi,
                r#"{"model":"m\"1","stream_options":{"include_usage":true},"stream":true}"#,
            ),
            (
                r#"{"stream_options":{"include_usage": true},"stream":true,"model":"p/m"}"#,
                OpenAi,
                r#"{"stream_options":{"include_usage": true},"stream":true,"model":"m\"1"}"#,
            ),
            (r#"{"model":"p/m","stream":true}"#, Anthropic, r#"{"model":"m\"1","stream":true}"#),
        ] {
            assert_eq!(rewritten(body, dialect), expect, "{body}");
        }
    }

    #[test]
    fn what_is_not_a_request() {
        for (body, expect) in [
            ("", ErrorCode::InvalidJson),
            ("[]", ErrorCode::InvalidJson),
            (r#"{"model":"p/m"} x"#, ErrorCode::InvalidJson),
            ("{}", ErrorCode::InvalidRequest),
            (r#"{"model":7}"#, ErrorCode::InvalidRequest),
            (r#"{"model":"p/a","model":"p/b"}"#, ErrorCode::InvalidRequest),
            (r#"{"model":"p/a","mod\u0065l":"p/b"}"#, ErrorCode::InvalidRequest),
            (r#"{"model":"p/a","stream":"yes"}"#, ErrorCode::InvalidRequest),
        ] {
            assert_eq!(ModelRequest::parse(body.as_bytes()).unwrap_err().code, expect, "{body}");
        }
    }
}
