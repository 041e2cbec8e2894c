//! Golden bodies: files of features, each with a body per dialect that can say it.

use crate::surface::Surface;
use serde_json::{Map, Value};

/// One feature and its bodies by the dialect's name.
#[derive(Debug, Clone)]
pub(crate) struct Feature {
    pub(crate) name: String,
    pub(crate) bodies: Map<String, Value>,
}

impl Feature {
    /// What a dialect says, if it can.
    pub(crate) fn body(&self, surface: &Surface) -> Option<&Value> {
        self.bodies.get(surface.dialect.name())
    }
}

/// The features of a file, in its order.
pub(crate) fn read(file: &str) -> Vec<Feature> {
    let features: Map<String, Value> =
        serde_json::from_str(file).expect("a file of goldens is a JSON object");
    let feature = |(name, bodies): (String, Value)| match bodies {
        Value::Object(bodies) => Feature { name, bodies },
        other => panic!("{name}: {other} is no object"),
    };
    features.into_iter().map(feature).collect()
}

/// Lays members over a body: objects are merged, everything else is replaced.
pub(crate) fn merge(base: &Value, over: &Value) -> Value {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            let mut merged = base.clone();
            for (name, value) in over {
                let value = base.get(name).map_or_else(|| value.clone(), |below| merge(below, value));
                merged.insert(name.clone(), value);
            }
            Value::Object(merged)
        }
        _ => over.clone(),
    }
}
