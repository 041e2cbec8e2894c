//! JSON Schema on its way to Gemini: Google's subset where it says all, tidied JSON Schema where it does not.

#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tollgate_dialect::conversation::{ChatRequest, Message, Part, ResponseFormat, Role, Tool};
use tollgate_dialect::gemini::encode_chat;
use tollgate_dialect::wire::EncodeOptions;

/// Members of Google's `Schema` (`types.Schema` of the `google-genai` package), without those that its public API
/// refuses.
const SUBSET_MEMBERS: &[&str] = &[
    "anyOf",
    "default",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "nullable",
    "pattern",
    "properties",
    "required",
    "title",
    "type",
];

fn body(request: &ChatRequest) -> Value {
    serde_json::from_slice(&encode_chat(request, &EncodeOptions::default()).unwrap().body).unwrap()
}

fn asks() -> ChatRequest {
    let messages = vec![Message { role: Role::User, parts: vec![Part::text("x")], name: None }];
    ChatRequest { model: "gemini-2.5-flash".to_owned(), messages, ..ChatRequest::default() }
}

/// What is declared of a function with these parameters, apart from its name.
fn declared(parameters: Option<Value>) -> Map<String, Value> {
    let tool = Tool { name: "f".to_owned(), parameters, ..Tool::default() };
    let body = body(&ChatRequest { tools: vec![tool], ..asks() });
    let mut declaration = body["tools"][0]["functionDeclarations"][0].as_object().unwrap().clone();
    declaration.remove("name");
    declaration
}

/// A property's schema comes out as this piece of the subset.
fn check_subset(property: Value, expect: Value) {
    let schema = json!({"type": "object", "properties": {"p": property}});
    let declared = declared(Some(schema));
    let parameters =
        declared.get("parameters").unwrap_or_else(|| panic!("no subset for {property}: {declared:?}"));
    assert_eq!(*parameters, json!({"type": "OBJECT", "properties": {"p": expect}}), "{property}");
}

/// A property's schema is beyond the subset and comes out as this JSON Schema.
fn check_json_schema(property: Value, expect: Value) {
    let schema = json!({"type": "object", "properties": {"p": property}});
    let expect = json!({"parametersJsonSchema": {"type": "object", "properties": {"p": expect}}});
    assert_eq!(Value::Object(declared(Some(schema))), expect, "{property}");
}

/// A response format's schema is tidied to this.
fn check_response(schema: Value, expect: Value) {
    let format = ResponseFormat::JsonSchema { name: "n".to_owned(), description: None, schema, strict: None };
    let body = body(&ChatRequest { response_format: Some(format), ..asks() });
    assert_eq!(body["generationConfig"]["responseJsonSchema"], expect);
}

#[test]
fn a_function_without_parameters_declares_none() {
    for schema in [
        None,
        Some(json!({})),
        Some(json!({"type": "object"})),
        Some(json!({"type": "object", "properties": {}, "additionalProperties": false, "required": []})),
        Some(
            json!({"$schema": "https://json-schema.org/draft-07/schema#", "type": "object", "properties": {}}),
        ),
    ] {
        assert_eq!(declared(schema), Map::new());
    }
}

#[test]
fn plain_types_have_googles_names() {
    for (kind, google) in
        [("string", "STRING"), ("number", "NUMBER"), ("integer", "INTEGER"), ("boolean", "BOOLEAN")]
    {
        check_subset(
            json!({"type": kind, "title": "T", "description": "D"}),
            json!({"type": google, "title": "T", "description": "D"}),
        );
    }
    check_subset(json!({"type": "STRING"}), json!({"type": "STRING"}));
    check_subset(
        json!({"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3}),
        json!({"type": "ARRAY", "minItems": 1, "maxItems": 3, "items": {"type": "STRING"}}),
    );
}

#[test]
fn a_type_that_is_not_said_is_guessed_from_its_keywords() {
    check_subset(json!({"enum": ["a", "b"]}), json!({"type": "STRING", "enum": ["a", "b"]}));
    check_subset(
        json!({"items": {"type": "integer"}}),
        json!({"type": "ARRAY", "items": {"type": "INTEGER"}}),
    );
    check_subset(
        json!({"properties": {"x": {"type": "number"}}}),
        json!({"type": "OBJECT", "properties": {"x": {"type": "NUMBER"}}}),
    );
}

#[test]
fn null_is_a_mark_on_the_type() {
    let nullable = json!({"type": "STRING", "nullable": true});
    check_subset(json!({"type": ["string", "null"]}), nullable.clone());
    check_subset(json!({"type": "string", "nullable": true}), nullable.clone());
    check_subset(json!({"anyOf": [{"type": "string"}, {"type": "null"}]}), nullable);
    check_subset(
        json!({"oneOf": [{"type": "null"}, {"type": "string"}], "title": "T"}),
        json!({"type": "STRING", "title": "T", "nullable": true}),
    );
    check_subset(
        json!({"type": ["string", "null"], "enum": ["a", null]}),
        json!({"type": "STRING", "enum": ["a"], "nullable": true}),
    );
    check_subset(
        json!({"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]}),
        json!({"anyOf": [{"type": "STRING", "nullable": true}, {"type": "INTEGER", "nullable": true}]}),
    );
}

#[test]
fn a_constant_is_the_only_value() {
    check_subset(json!({"const": "cat"}), json!({"type": "STRING", "enum": ["cat"]}));
    check_subset(json!({"type": "string", "const": "cat"}), json!({"type": "STRING", "enum": ["cat"]}));
    check_json_schema(json!({"const": 7}), json!({"enum": [7]}));
}

#[test]
fn only_formats_that_google_takes_are_kept() {
    let format = |kind: &str, format: &str| json!({"type": kind, "format": format});
    check_subset(format("string", "date-time"), format("STRING", "date-time"));
    check_subset(format("integer", "int64"), format("INTEGER", "int64"));
    check_subset(format("number", "double"), format("NUMBER", "double"));
    for (kind, google, unknown) in
        [("string", "STRING", "email"), ("string", "STRING", "uri"), ("integer", "INTEGER", "uint8")]
    {
        check_subset(format(kind, unknown), json!({"type": google}));
    }
}

#[test]
fn keywords_that_the_subset_lacks_are_left_out_of_it() {
    check_subset(
        json!({"type": "integer", "minimum": 0, "maximum": 9.5, "exclusiveMinimum": 0, "multipleOf": 3, "examples": [3]}),
        json!({"type": "INTEGER", "minimum": 0, "maximum": 9.5}),
    );
    check_subset(
        json!({"type": "string", "minLength": 1, "maxLength": -1, "pattern": "^a", "default": "a", "contentEncoding": "x"}),
        json!({"type": "STRING", "default": "a", "minLength": 1, "pattern": "^a"}),
    );
}

#[test]
fn a_required_name_is_a_property() {
    let schema =
        json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a", "ghost", 3]});
    let expect = json!({"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "required": ["a"]});
    assert_eq!(declared(Some(schema))["parameters"], expect);
}

#[test]
fn references_are_put_in_place() {
    let schema = |defs: &str| {
        json!({
            "type": "object",
            "properties": {
                "home": {"$ref": format!("#/{defs}/Address"), "description": "Where"},
                "work": {"anyOf": [{"$ref": format!("#/{defs}/Address")}, {"type": "null"}], "default": null},
                "old": {"allOf": [{"$ref": format!("#/{defs}/Address")}], "title": "Old"},
            },
            defs: {"Address": {"type": "object", "title": "Address", "properties": {"city": {"type": "string"}}}},
        })
    };
    let address =
        |title: &str| json!({"type": "OBJECT", "title": title, "properties": {"city": {"type": "STRING"}}});
    let mut home = address("Address");
    home["description"] = json!("Where");
    let mut work = address("Address");
    work["nullable"] = json!(true);
    for defs in ["$defs", "definitions"] {
        let properties = &declared(Some(schema(defs)))["parameters"]["properties"];
        assert_eq!(*properties, json!({"home": home, "work": work, "old": address("Old")}), "{defs}");
    }
}

#[test]
fn what_the_subset_cannot_say_goes_as_json_schema() {
    for beyond in [
        json!({"type": "object"}),
        json!({"type": "object", "additionalProperties": {"type": "string"}}),
        json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "string"}}),
        json!({"type": "array"}),
        json!({"type": "array", "prefixItems": [{"type": "string"}]}),
        json!({"type": ["string", "integer"]}),
        json!({"type": "integer", "enum": [1, 2]}),
        json!({"enum": ["a", 1]}),
        json!({"enum": [""]}),
        json!({"anyOf": [{"type": "string"}, {"type": "integer"}], "description": "D"}),
        json!({"anyOf": [{"type": "string"}], "minLength": 3}),
        json!({"description": "anything"}),
        json!({"type": "made-up"}),
        json!({"$ref": "#/$defs/missing"}),
        json!({"$ref": "https://example.com/schema"}),
        json!({"$ref": "#"}),
        json!(true),
    ] {
        check_json_schema(beyond.clone(), beyond);
    }
}

#[test]
fn a_recursive_schema_keeps_its_references() {
    let schema = json!({
        "type": "object",
        "properties": {"root": {"$ref": "#/$defs/Node"}},
        "$defs": {"Node": {
            "type": "object",
            "properties": {"next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}},
        }},
    });
    assert_eq!(Value::Object(declared(Some(schema.clone()))), json!({"parametersJsonSchema": schema}));
}

#[test]
fn references_that_multiply_are_left_as_references() {
    let mut defs = Map::new();
    for level in 0..40 {
        let next = json!({"$ref": format!("#/$defs/L{}", level + 1)});
        defs.insert(format!("L{level}"), json!({"type": "object", "properties": {"a": next, "b": next}}));
    }
    defs.insert("L40".to_owned(), json!({"type": "string"}));
    let schema = json!({"type": "object", "properties": {"p": {"$ref": "#/$defs/L0"}}, "$defs": defs});
    assert_eq!(Value::Object(declared(Some(schema.clone()))), json!({"parametersJsonSchema": schema}));
}

#[test]
fn parts_of_all_of_multiply_only_to_a_bound() {
    let mut defs = Map::new();
    for level in 0..40 {
        let next = json!({"$ref": format!("#/$defs/L{}", level + 1)});
        defs.insert(format!("L{level}"), json!({"allOf": [next, next]}));
    }
    defs.insert("L40".to_owned(), json!({"type": "string"}));
    let schema = json!({"type": "object", "properties": {"p": {"$ref": "#/$defs/L0"}}, "$defs": defs});
    let expect = json!({"type": "OBJECT", "properties": {"p": {"type": "STRING"}}});
    assert_eq!(declared(Some(schema))["parameters"], expect);
}

#[test]
fn a_response_schema_is_tidied_json_schema() {
    check_response(
        json!({"$schema": "x", "$comment": "y", "type": "object", "properties": {"a": {"const": 1}}, "additionalProperties": false}),
        json!({"type": "object", "properties": {"a": {"enum": [1]}}, "additionalProperties": false}),
    );
    check_response(
        json!({"properties": {"a": {"$ref": "#/definitions/A", "description": "D"}}, "definitions": {"A": {"type": "string", "nullable": true}}}),
        json!({
            "properties": {"a": {"description": "D", "anyOf": [{"$ref": "#/$defs/A"}]}},
            "$defs": {"A": {"type": ["string", "null"]}},
        }),
    );
    check_response(
        json!({"anyOf": [{"type": "string"}, {"type": "integer"}], "nullable": true}),
        json!({"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]}),
    );
    check_response(
        json!({"type": "string", "enum": ["a"], "nullable": true}),
        json!({"type": ["string", "null"], "enum": ["a", null]}),
    );
}

#[test]
fn a_property_may_have_the_name_of_a_keyword() {
    let named = |kind: &str| json!({"$schema": {"type": kind}, "const": {"type": kind}, "$ref": {"type": kind}, "allOf": {"type": kind}});
    let schema = json!({"type": "object", "properties": named("string"), "required": ["const"]});
    let expect = json!({"type": "OBJECT", "properties": named("STRING"), "required": ["const"]});
    assert_eq!(declared(Some(schema))["parameters"], expect);
}

#[test]
fn all_parts_of_all_of_count() {
    check_response(
        json!({
            "allOf": [
                {"$ref": "#/$defs/A"},
                {"type": "object", "properties": {"b": {"type": "integer"}}, "required": ["b", "a"]},
            ],
            "$defs": {"A": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}},
        }),
        json!({
            "$defs": {"A": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}},
            "type": "object",
            "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        }),
    );
}

/// Walks a subset and holds every node to Google's members.
fn assert_is_subset(schema: &Value) {
    let node = schema.as_object().unwrap();
    for (member, value) in node {
        assert!(SUBSET_MEMBERS.contains(&member.as_str()), "{member} in {schema}");
        match member.as_str() {
            "properties" => value.as_object().unwrap().values().for_each(assert_is_subset),
            "items" => assert_is_subset(value),
            "anyOf" => value.as_array().unwrap().iter().for_each(assert_is_subset),
            "enum" => assert!(value.as_array().unwrap().iter().all(Value::is_string), "{schema}"),
            _ => {}
        }
    }
    assert!(node.contains_key("type") || node.contains_key("anyOf"), "{schema}");
}

fn any_schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({"type": "string"})),
        Just(json!({"type": ["integer", "null"], "minimum": 1})),
        Just(json!({"enum": ["a", "b"], "default": "a"})),
        Just(json!({"const": true})),
        Just(json!({"type": "string", "format": "uuid", "nullable": true})),
        Just(json!({"$ref": "#/properties/p0"})),
        Just(json!({"$ref": "#/$defs/Leaf", "title": "T"})),
        Just(json!({})),
        Just(json!(false)),
        Just(json!({"type": 5, "enum": {}, "required": "x", "properties": []})),
    ];
    leaf.prop_recursive(4, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(object),
            inner.clone().prop_map(|items| json!({"type": "array", "items": items})),
            prop::collection::vec(inner.clone(), 0..3).prop_map(|options| json!({"anyOf": options})),
            prop::collection::vec(inner.clone(), 0..3)
                .prop_map(|parts| json!({"allOf": parts, "description": "D"})),
            inner.prop_map(|rest| json!({"type": "object", "additionalProperties": rest})),
        ]
    })
}

fn object(properties: Vec<Value>) -> Value {
    let named = properties.into_iter().enumerate().map(|(number, schema)| (format!("p{number}"), schema));
    let named: Map<String, Value> = named.collect();
    json!({"type": "object", "properties": named, "required": ["p0"], "$defs": {"Leaf": {"type": "number"}}})
}

proptest! {
    #[test]
    fn any_schema_comes_out_in_one_of_the_two_forms(properties in prop::collection::vec(any_schema(), 0..4)) {
        let is_empty = properties.is_empty();
        let declared = declared(Some(object(properties)));
        prop_assert_eq!(declared.len(), usize::from(!is_empty));
        if let Some(subset) = declared.get("parameters") {
            assert_is_subset(subset);
            prop_assert_eq!(&subset["type"], "OBJECT");
        }
    }
}
