//! The JSON schema of profiles and manifests, and the tables of the reference, from the vocabulary.

use crate::paths::Asker;
use crate::profile::{MOST_INTENTS, protections};
use crate::resolve::{PROTECTIONS, ProtectedBase};
use crate::vocabulary::{ACCESS, Key, Kind, LIMITS, Measure, STATES, WAYS, WORDS, Word};
use serde_json::{Map, Value, json};

/// The schema (draft 2020-12) of a user's profile or of a manifest. Words that cannot be enforced
/// yet are not in it, as they are refused.
pub fn schema(asker: Asker) -> Value {
    let manifest = asker == Asker::Manifest;
    let words = WORDS.iter().filter(|word| word.later.is_none());
    let intents: Vec<Value> = words.map(|word| intent(word, manifest)).collect();
    let mut properties = Map::new();
    properties.insert(
        "intent".into(),
        json!({
            "description": "What may be reached",
            "type": "array",
            "maxItems": MOST_INTENTS,
            "items": { "oneOf": intents },
        }),
    );
    properties.insert("limits".into(), limits());
    let mut required = Vec::new();
    if manifest {
        required.push("app");
        properties.insert("app".into(), app());
    } else {
        properties.insert("extends".into(), extends());
        properties.insert("unprotect".into(), unprotect());
        properties.insert("command".into(), command());
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": if manifest { "Swathe manifest" } else { "Swathe profile" },
        "type": "object",
        "additionalProperties": false,
        "required": required,
        "properties": properties,
    })
}

fn intent(word: &Word, manifest: bool) -> Value {
    let mut properties = Map::new();
    properties.insert("use".into(), json!({ "const": word.name, "description": word.about }));
    let reason = json!({
        "type": "string", "minLength": 1, "maxLength": 500, "description": "why it is needed",
    });
    properties.insert("reason".into(), reason);
    let mut required = vec!["use"];
    if manifest {
        required.push("reason");
    }
    for key in word.keys {
        properties.insert(key.name.into(), value(key));
        if key.required {
            required.push(key.name);
        }
    }
    let mut schema = json!({
        "type": "object",
        "additionalProperties": false,
        "required": required,
        "properties": properties,
    });
    if word.name == "env" {
        schema["anyOf"] = json!([{ "required": ["pass"] }, { "required": ["set"] }]);
    }
    schema
}

fn value(key: &Key) -> Value {
    let now = |list: &[(&'static str, &'static str, Option<&'static str>)]| {
        let now = list.iter().filter(|(.., later)| later.is_none());
        now.map(|(name, ..)| *name).collect::<Vec<_>>()
    };
    let mut schema = match key.kind {
        Kind::Path => json!({ "type": "string", "pattern": "^[/~$]" }),
        Kind::Access => json!({ "enum": now(&ACCESS), "default": "ro" }),
        Kind::State => json!({ "enum": now(&STATES) }),
        Kind::Way => json!({ "enum": now(&WAYS), "default": "host" }),
        Kind::Names => json!({ "type": "array", "items": variable() }),
        Kind::Rules => one_or_more(&json!({ "type": "string", "minLength": 1 })),
        Kind::Ports => one_or_more(&json!({ "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": 65535 },
            { "type": "string", "pattern": "^((\\[[0-9a-fA-F:.]+\\]|[0-9.]+):)?[0-9]+(:[0-9]+)?$" },
        ] })),
        Kind::Values => json!({
            "type": "object",
            "propertyNames": variable(),
            "additionalProperties": { "type": "string" },
        }),
    };
    schema["description"] = json!(key.about);
    schema
}

fn one_or_more(one: &Value) -> Value {
    json!({ "anyOf": [one, { "type": "array", "items": one }] })
}

fn variable() -> Value {
    json!({ "type": "string", "pattern": "^[^=]+$", "maxLength": 255 })
}

fn limits() -> Value {
    let mut properties = Map::new();
    for (name, measure, about) in LIMITS {
        let number = json!({ "type": "integer", "minimum": 1 });
        let schema = match measure {
            Measure::Count => number,
            Measure::Bytes => {
                json!({ "anyOf": [number, { "type": "string", "pattern": "^[0-9]+[KMGT]?$" }] })
            }
            Measure::Seconds => json!({ "anyOf": [
                number,
                { "type": "string", "pattern": "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$" },
            ] }),
        };
        let mut schema = schema;
        schema["description"] = json!(about);
        properties.insert(name.into(), schema);
    }
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

fn app() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["id", "command"],
        "properties": {
            "id": {
                "type": "string",
                "maxLength": 200,
                "pattern": "^[A-Za-z0-9_][A-Za-z0-9_-]*(\\.[A-Za-z0-9_][A-Za-z0-9_-]*)+$",
            },
            "name": { "type": "string", "description": "what a person calls it" },
            "command": command(),
        },
    })
}

fn command() -> Value {
    json!({
        "description": "the program and its arguments",
        "type": "array",
        "minItems": 1,
        "items": { "type": "string" },
    })
}

fn extends() -> Value {
    json!({
        "description": "profiles that this one adds to",
        "type": "array",
        "items": {
            "type": "string", "maxLength": 64, "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$",
        },
    })
}

fn unprotect() -> Value {
    json!({
        "description": "protected paths that may be written to",
        "type": "array",
        "items": { "enum": protections().collect::<Vec<_>>() },
    })
}

/// The tables of `docs/profiles.md`, as Markdown.
pub fn reference() -> String {
    let mut text = String::from("| Word | Allows | Keys | `--allow` |\n|---|---|---|---|\n");
    for word in WORDS.iter().filter(|word| word.later.is_none()) {
        let keys: Vec<String> = word
            .keys
            .iter()
            .map(|key| {
                let kind = if key.required { "" } else { ", optional" };
                format!("`{}`: {}{kind}", key.name, key.about)
            })
            .collect();
        let short: Vec<String> = word.short.split(", ").map(|form| format!("`{form}`")).collect();
        let danger = if word.danger.is_some() { " **(dangerous)**" } else { "" };
        let row = [
            format!("`{}`", word.name),
            format!("{}{danger}", word.about),
            keys.join("; "),
            short.join(", "),
        ];
        text.push_str(&format!("| {} |\n", row.join(" | ")));
    }
    text.push_str("\nDangerous, and why:\n\n| Word | Danger |\n|---|---|\n");
    for word in WORDS.iter() {
        if let Some(danger) = word.danger {
            text.push_str(&format!("| `{}` | {danger} |\n", word.name));
        }
    }
    text.push_str("\nRefused until its layer exists:\n\n| Word | Reason |\n|---|---|\n");
    let access = ACCESS.iter().filter_map(|(n, _, l)| l.map(|l| (format!("access = \"{n}\""), l)));
    let states = STATES.iter().filter_map(|(n, _, l)| l.map(|l| (format!("mode = \"{n}\""), l)));
    let words = WORDS.iter().filter_map(|word| word.later.map(|l| (word.name.to_owned(), l)));
    for (name, reason) in access.chain(states).chain(words) {
        text.push_str(&format!("| `{name}` | {reason} |\n"));
    }
    text.push_str("\nLimits:\n\n| Key | Value | Bounds |\n|---|---|---|\n");
    for (name, measure, about) in LIMITS {
        let value = match measure {
            Measure::Bytes => "bytes, or with K, M, G, T",
            Measure::Count => "number",
            Measure::Seconds => "seconds, or like `1h30m`",
        };
        text.push_str(&format!("| `{name}` | {value} | {about} |\n"));
    }
    text.push_str("\nProtected paths:\n\n| Name | Where | Protects |\n|---|---|---|\n");
    for protection in PROTECTIONS {
        let place = match protection.base {
            ProtectedBase::Writable => "every writable directory",
            ProtectedBase::Home => "the home directory",
        };
        let paths: Vec<String> = protection.paths.iter().map(|path| format!("`{path}`")).collect();
        let paths = paths.join(", ");
        text.push_str(&format!("| `{}` | {place} | {paths} |\n", protection.name));
    }
    text
}
