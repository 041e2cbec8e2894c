//! Keys of `litellm_params` that deployments in clouds need.
//!
//! Owns: names, types and what they do. Leaves to others: the variables that stand in for them (cloud).
//!
//! **Invariant:** a name is here exactly if [`crate::cloud`] reads it.

use super::{ANY_MAP, Key, Kind, active};

/// Credentials as a text (a file's path or JSON) or written out.
const CREDENTIALS: Kind = Kind::Either(&Kind::Secret, &ANY_MAP);

pub(super) const CLOUD: &[Key] = &[
    active("aws_access_key_id", Kind::Text, "AWS's chain of credentials", "AWS access key."),
    active("aws_secret_access_key", Kind::Secret, "", "The access key's secret."),
    active("aws_session_token", Kind::Secret, "", "The session token of temporary keys."),
    active("aws_region_name", Kind::Text, "AWS_REGION_NAME, AWS_REGION, else us-west-2", "AWS region."),
    active("aws_profile_name", Kind::Text, "", "Profile of AWS's shared configuration files."),
    active("aws_role_name", Kind::Text, "", "Role (an ARN) that is assumed through STS."),
    active("aws_session_name", Kind::Text, "", "Name of the assumed role's session."),
    active("aws_external_id", Kind::Text, "", "External id for assuming the role."),
    active("aws_web_identity_token", Kind::Secret, "", "Token, or a file with one, for assuming the role."),
    active("aws_sts_endpoint", Kind::Text, "AWS's own", "Where STS is."),
    active("aws_bedrock_runtime_endpoint", Kind::Text, "AWS's own", "Where Bedrock's runtime is."),
    active(
        "vertex_project",
        Kind::Text,
        "VERTEXAI_PROJECT, else the credentials' own",
        "Google Cloud project.",
    ),
    active("vertex_location", Kind::Text, "VERTEXAI_LOCATION, else us-central1", "Google Cloud location."),
    active(
        "vertex_credentials",
        CREDENTIALS,
        "Google's application default",
        "Service account, workload identity or user credentials: JSON, or the path of a file with it.",
    ),
    active("vertex_ai_project", Kind::Text, "", "Another name of `vertex_project`."),
    active("vertex_ai_location", Kind::Text, "", "Another name of `vertex_location`."),
    active("vertex_ai_credentials", CREDENTIALS, "", "Another name of `vertex_credentials`."),
    active("project_id", Kind::Text, "WATSONX_PROJECT_ID", "watsonx.ai project."),
    active("space_id", Kind::Text, "WATSONX_SPACE_ID", "watsonx.ai deployment space."),
];
