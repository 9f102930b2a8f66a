//! `action.yml` and `task.json` against what their hosts' schemas ask, by as much of JSON
//! Schema as those need. A keyword that is not known here fails the test.

use std::path::Path;

use regex::Regex;
use serde_json::Value;

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn json(name: &str) -> Value {
    serde_json::from_str(&read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What is wrong with a value, each with its place.
fn problems(schema: &Value, value: &Value, place: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (keyword, asked) in schema.as_object().expect("a schema is a mapping") {
        let wrong = match keyword.as_str() {
            "$comment" => None,
            "type" => (!is_a(value, asked.as_str().expect("a type"))).then(|| format!("is no {asked}")),
            "enum" => {
                let known = asked.as_array().expect("a list").contains(value);
                (!known).then(|| format!("{value} is none of {asked}"))
            }
            "pattern" => {
                let pattern = Regex::new(asked.as_str().expect("a text")).expect("a pattern");
                let fits = value.as_str().is_none_or(|text| pattern.is_match(text));
                (!fits).then(|| format!("{value} does not look like {asked}"))
            }
            "minLength" | "maxLength" => {
                let length = value.as_str().map_or(0, |text| text.chars().count() as u64);
                let limit = asked.as_u64().expect("a number");
                let fits = if keyword == "minLength" { length >= limit } else { length <= limit };
                (value.is_string() && !fits).then(|| format!("has {length} characters; {keyword} is {limit}"))
            }
            "required" => {
                let lacking = asked.as_array().expect("a list").iter().filter_map(Value::as_str);
                let lacking: Vec<&str> =
                    lacking.filter(|name| value.is_object() && value.get(name).is_none()).collect();
                (!lacking.is_empty()).then(|| format!("lacks {}", lacking.join(", ")))
            }
            "items" => {
                let items = value.as_array().into_iter().flatten().enumerate();
                found.extend(items.flat_map(|(at, item)| problems(asked, item, &format!("{place}[{at}]"))));
                None
            }
            "anyOf" => {
                let any = asked.as_array().expect("a list").iter();
                let fits = any.into_iter().any(|one| problems(one, value, place).is_empty());
                (!fits).then(|| format!("{value} fits none of {asked}"))
            }
            // Read together below.
            "properties" | "patternProperties" | "additionalProperties" => None,
            other => panic!("the schema's keyword {other} is not known here"),
        };
        found.extend(wrong.map(|wrong| format!("{place} {wrong}")));
    }
    for (name, inner) in value.as_object().into_iter().flatten() {
        let place = format!("{place}.{name}");
        let listed = schema["properties"].get(name);
        let patterns = schema["patternProperties"].as_object().into_iter().flatten();
        let matching = patterns.filter(|(pattern, _)| Regex::new(pattern).expect("a pattern").is_match(name));
        let asked: Vec<&Value> = listed.into_iter().chain(matching.map(|(_, asked)| asked)).collect();
        if asked.is_empty() && schema["additionalProperties"] == false {
            found.push(format!("{place} is not known"));
        }
        found.extend(asked.iter().flat_map(|asked| problems(asked, inner, &place)));
    }
    found
}

fn is_a(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("the type {other} is not known here"),
    }
}

#[test]
fn the_action_keeps_to_its_schema() {
    let action: Value = serde_yaml::from_str(&read("action.yml")).expect("YAML");
    let found = problems(&json("tests/it/schemas/github-action.json"), &action, "action");
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_task_keeps_to_its_schema() {
    let found = problems(&json("tests/it/schemas/azure-pipelines-task.json"), &json("task.json"), "task");
    assert!(found.is_empty(), "{found:#?}");
}

/// The schemas would notice.
#[test]
fn what_breaks_a_schema_is_found_at_its_place() {
    let schema = json("tests/it/schemas/azure-pipelines-task.json");
    let broken = |pointer: &str, value: Value| {
        let mut task = json("task.json");
        *task.pointer_mut(pointer).expect("a place") = value;
        problems(&schema, &task, "task")
    };
    assert_eq!(broken("/id", "1".into()).len(), 1);
    assert_eq!(broken("/inputs/3/name", "app-name".into())[0].split(' ').next(), Some("task.inputs[3].name"));
    assert_eq!(broken("/inputs/3/type", "text".into()).len(), 1);
    assert_eq!(broken("/version/Major", "0".into()), ["task.version.Major is no \"integer\""]);
    assert_eq!(
        broken("/execution", serde_json::json!({"Node6": {"target": "x"}})),
        ["task.execution.Node6 is not known"]
    );
    assert_eq!(broken("/friendlyName", "x".repeat(41).into()).len(), 1);
    let lacking = problems(&schema, &serde_json::json!({}), "task");
    assert_eq!(lacking.len(), 1, "{lacking:?}");
    assert!(lacking[0].starts_with("task lacks id, name"), "{lacking:?}");
}
