//! Where Google's models are called: AI Studio's `generativelanguage` API, or Vertex AI.
//!
//! Owns what differs between the two: resources in paths, and which members each of them takes. Leaves base URLs,
//! projects, locations and credentials to others. Source: the converters of Google's `google-genai` package, which
//! refuse for each of the two what that one does not take.

/// One of Google's two ways to its models.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Host {
    /// `https://generativelanguage.googleapis.com/v1beta`.
    #[default]
    AiStudio,
    /// `https://{location}-aiplatform.googleapis.com/v1/projects/{project}/locations/{location}`.
    Vertex,
}

/// Members that only AI Studio takes, whatever object they stand in.
const AI_STUDIO_ONLY: &[&str] = &[
    "enableEnhancedCivicAnswers",
    "fileSearch",
    "includeServerSideToolInvocations",
    "mediaProcessing",
    "partMetadata",
    "store",
    "toolCall",
    "toolResponse",
    "willContinue",
];

/// Members that only Vertex takes, whatever object they stand in.
const VERTEX_ONLY: &[&str] = &[
    "audioTimestamp",
    "enterpriseWebSearch",
    "exaAiSearch",
    "generationOutputConfig",
    "method",
    "modelArmorConfig",
    "modelSelectionConfig",
    "parallelAiSearch",
    "partialArgs",
    "retrieval",
    "routingConfig",
];

impl Host {
    /// Whether a member of a request means something here.
    pub(super) fn takes(self, member: &str) -> bool {
        let foreign = match self {
            Self::AiStudio => VERTEX_ONLY,
            Self::Vertex => AI_STUDIO_ONLY,
        };
        !foreign.contains(&member)
    }
}
