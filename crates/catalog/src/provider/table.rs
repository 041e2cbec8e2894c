//! The rows of the provider table, one per provider, sorted by name: names, addresses, key variables and quirks.
//!
//! Owns the facts only; what a column means is said at [`Provider`]. Base addresses, variable names and renames are
//! those that the providers document and that LiteLLM 1.106 uses under the same names. The unsupported parameters of
//! Mistral (it refuses every parameter that is not in its schema), Groq and Cerebras are those listed in
//! their API references.
//!
//! **Invariant:** a new OpenAI-compatible provider is one new row here and nothing else.

use super::{KeyPlacement, Provider, Wire};

/// The defaults of a row: an OpenAI-compatible provider that wants a bearer key.
const ROW: Provider = Provider {
    name: "",
    aliases: &[],
    wire: Wire::OpenAi,
    base_url: None,
    base_env: &[],
    base_path: "",
    key_env: &[],
    key: KeyPlacement::Bearer,
    renames: &[],
    unsupported: &[],
    exception: "",
};

/// Providers that know the older name of the output limit only.
const MAX_TOKENS: &[(&str, &str)] = &[("max_completion_tokens", "max_tokens")];

pub(super) static PROVIDERS: &[Provider] = &[
    Provider {
        name: "ai21_chat",
        aliases: &["ai21"],
        base_url: Some("https://api.ai21.com/studio/v1"),
        base_env: &["AI21_API_BASE"],
        key_env: &["AI21_API_KEY"],
        exception: "Ai21_chatException",
        ..ROW
    },
    Provider {
        name: "aihubmix",
        base_url: Some("https://aihubmix.com/v1"),
        base_env: &["AIHUBMIX_API_BASE"],
        key_env: &["AIHUBMIX_API_KEY"],
        exception: "AihubmixException",
        ..ROW
    },
    Provider {
        name: "aiml",
        base_url: Some("https://api.aimlapi.com/v1"),
        base_env: &["AIML_API_BASE"],
        key_env: &["AIML_API_KEY"],
        exception: "AimlException",
        ..ROW
    },
    Provider {
        name: "amazon_nova",
        base_url: Some("https://api.nova.amazon.com/v1"),
        base_env: &["AMAZON_NOVA_API_BASE"],
        key_env: &["AMAZON_NOVA_API_KEY"],
        exception: "Amazon_novaException",
        ..ROW
    },
    Provider {
        name: "anthropic",
        wire: Wire::Anthropic,
        base_url: Some("https://api.anthropic.com"),
        base_env: &["ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"],
        key_env: &["ANTHROPIC_API_KEY"],
        key: KeyPlacement::Header("x-api-key"),
        exception: "AnthropicException",
        ..ROW
    },
    Provider {
        name: "anyscale",
        base_url: Some("https://api.endpoints.anyscale.com/v1"),
        base_env: &["ANYSCALE_API_BASE"],
        key_env: &["ANYSCALE_API_KEY"],
        exception: "AnyscaleException",
        ..ROW
    },
    Provider {
        name: "apertis",
        base_url: Some("https://api.stima.tech/v1"),
        key_env: &["STIMA_API_KEY"],
        renames: MAX_TOKENS,
        exception: "ApertisException",
        ..ROW
    },
    Provider {
        name: "assemblyai",
        base_url: Some("https://llm-gateway.assemblyai.com/v1"),
        key_env: &["ASSEMBLYAI_API_KEY"],
        exception: "AssemblyaiException",
        ..ROW
    },
    Provider {
        name: "azure",
        wire: Wire::Azure,
        base_env: &["AZURE_API_BASE"],
        key_env: &["AZURE_OPENAI_API_KEY", "AZURE_API_KEY"],
        key: KeyPlacement::Header("api-key"),
        exception: "AzureException",
        ..ROW
    },
    Provider {
        name: "azure_ai",
        base_env: &["AZURE_AI_API_BASE"],
        key_env: &["AZURE_AI_API_KEY"],
        key: KeyPlacement::Header("api-key"),
        exception: "Azure_aiException",
        ..ROW
    },
    Provider {
        name: "azure_text",
        wire: Wire::Azure,
        base_env: &["AZURE_API_BASE"],
        key_env: &["AZURE_OPENAI_API_KEY", "AZURE_API_KEY"],
        key: KeyPlacement::Header("api-key"),
        exception: "Azure_textException",
        ..ROW
    },
    Provider {
        name: "baseten",
        base_url: Some("https://inference.baseten.co/v1"),
        base_env: &["BASETEN_API_BASE"],
        key_env: &["BASETEN_API_KEY"],
        renames: MAX_TOKENS,
        exception: "BasetenException",
        ..ROW
    },
    Provider {
        name: "bedrock",
        aliases: &["bedrock_converse"],
        wire: Wire::Bedrock,
        key_env: &["AWS_BEARER_TOKEN_BEDROCK"],
        exception: "BedrockException",
        ..ROW
    },
    Provider {
        name: "cerebras",
        base_url: Some("https://api.cerebras.ai/v1"),
        base_env: &["CEREBRAS_API_BASE"],
        key_env: &["CEREBRAS_API_KEY"],
        unsupported: &["frequency_penalty", "logit_bias", "presence_penalty", "service_tier"],
        exception: "CerebrasException",
        ..ROW
    },
    Provider {
        name: "charity_engine",
        base_url: Some("https://api.charityengine.services/remotejobs/v2/inference"),
        key_env: &["CHARITY_ENGINE_API_KEY"],
        renames: MAX_TOKENS,
        exception: "Charity_engineException",
        ..ROW
    },
    Provider {
        name: "chutes",
        base_url: Some("https://llm.chutes.ai/v1"),
        key_env: &["CHUTES_API_KEY"],
        renames: MAX_TOKENS,
        exception: "ChutesException",
        ..ROW
    },
    Provider {
        name: "clarifai",
        base_url: Some("https://api.clarifai.com/v2/ext/openai/v1"),
        key_env: &["CLARIFAI_API_KEY"],
        exception: "ClarifaiException",
        ..ROW
    },
    Provider {
        name: "codestral",
        base_url: Some("https://codestral.mistral.ai/v1"),
        base_env: &["CODESTRAL_API_BASE"],
        key_env: &["CODESTRAL_API_KEY"],
        unsupported: &["user"],
        exception: "CodestralException",
        ..ROW
    },
    Provider {
        name: "cognition",
        base_url: Some("https://api.cognition.ai/v1"),
        base_env: &["COGNITION_API_BASE"],
        key_env: &["COGNITION_API_KEY"],
        exception: "CognitionException",
        ..ROW
    },
    Provider {
        name: "cohere",
        aliases: &["cohere_chat"],
        wire: Wire::Cohere,
        base_url: Some("https://api.cohere.com"),
        base_env: &["COHERE_API_BASE"],
        key_env: &["COHERE_API_KEY", "CO_API_KEY"],
        exception: "CohereException",
        ..ROW
    },
    Provider {
        name: "cometapi",
        base_url: Some("https://api.cometapi.com/v1"),
        base_env: &["COMETAPI_API_BASE", "COMETAPI_BASE_URL"],
        key_env: &["COMETAPI_KEY", "COMETAPI_API_KEY"],
        exception: "CometapiException",
        ..ROW
    },
    Provider {
        name: "compactifai",
        base_url: Some("https://api.compactif.ai/v1"),
        key_env: &["COMPACTIFAI_API_KEY"],
        exception: "CompactifaiException",
        ..ROW
    },
    Provider {
        name: "coralbricks",
        base_url: Some("https://inference.coralbricks.ai/v1"),
        base_env: &["CORALBRICKS_API_BASE"],
        key_env: &["CORALBRICKS_API_KEY"],
        exception: "CoralbricksException",
        ..ROW
    },
    Provider {
        name: "cortecs",
        base_url: Some("https://api.cortecs.ai/v1"),
        base_env: &["CORTECS_API_BASE"],
        key_env: &["CORTECS_API_KEY"],
        exception: "CortecsException",
        ..ROW
    },
    Provider {
        name: "crusoe",
        base_url: Some("https://api.inference.crusoecloud.com/v1"),
        base_env: &["CRUSOE_API_BASE"],
        key_env: &["CRUSOE_API_KEY"],
        renames: MAX_TOKENS,
        exception: "CrusoeException",
        ..ROW
    },
    Provider {
        name: "custom_openai",
        aliases: &["openai_like"],
        base_env: &["OPENAI_LIKE_API_BASE"],
        key_env: &["OPENAI_LIKE_API_KEY"],
        key: KeyPlacement::OptionalBearer,
        exception: "Custom_openaiException",
        ..ROW
    },
    Provider {
        name: "darkbloom",
        base_url: Some("https://api.darkbloom.dev/v1"),
        base_env: &["DARKBLOOM_API_BASE"],
        key_env: &["DARKBLOOM_API_KEY"],
        renames: MAX_TOKENS,
        exception: "DarkbloomException",
        ..ROW
    },
    Provider {
        name: "dashscope",
        base_url: Some("https://dashscope.aliyuncs.com/compatible-mode/v1"),
        base_env: &["DASHSCOPE_API_BASE"],
        key_env: &["DASHSCOPE_API_KEY"],
        exception: "DashscopeException",
        ..ROW
    },
    Provider {
        name: "databricks",
        base_env: &["DATABRICKS_API_BASE"],
        key_env: &["DATABRICKS_API_KEY"],
        exception: "DatabricksException",
        ..ROW
    },
    Provider {
        name: "deepinfra",
        base_url: Some("https://api.deepinfra.com/v1/openai"),
        base_env: &["DEEPINFRA_API_BASE"],
        key_env: &["DEEPINFRA_API_KEY"],
        renames: MAX_TOKENS,
        exception: "DeepinfraException",
        ..ROW
    },
    Provider {
        name: "deepseek",
        base_url: Some("https://api.deepseek.com/beta"),
        base_env: &["DEEPSEEK_API_BASE"],
        key_env: &["DEEPSEEK_API_KEY"],
        exception: "DeepseekException",
        ..ROW
    },
    Provider {
        name: "docker_model_runner",
        base_url: Some("http://localhost:22088/engines/llama.cpp/v1"),
        base_env: &["DOCKER_MODEL_RUNNER_API_BASE"],
        base_path: "/v1",
        key_env: &["DOCKER_MODEL_RUNNER_API_KEY"],
        key: KeyPlacement::OptionalBearer,
        renames: MAX_TOKENS,
        exception: "Docker_model_runnerException",
        ..ROW
    },
    Provider {
        name: "edenai",
        base_url: Some("https://api.edenai.run/v3"),
        base_env: &["EDENAI_API_BASE"],
        key_env: &["EDENAI_API_KEY"],
        exception: "EdenaiException",
        ..ROW
    },
    Provider {
        name: "empower",
        base_url: Some("https://app.empower.dev/api/v1"),
        base_env: &["EMPOWER_API_BASE"],
        key_env: &["EMPOWER_API_KEY"],
        exception: "EmpowerException",
        ..ROW
    },
    Provider {
        name: "featherless_ai",
        base_url: Some("https://api.featherless.ai/v1"),
        base_env: &["FEATHERLESS_AI_API_BASE"],
        key_env: &["FEATHERLESS_AI_API_KEY", "FEATHERLESS_API_KEY"],
        renames: MAX_TOKENS,
        exception: "Featherless_aiException",
        ..ROW
    },
    Provider {
        name: "fireworks_ai",
        base_url: Some("https://api.fireworks.ai/inference/v1"),
        base_env: &["FIREWORKS_API_BASE"],
        key_env: &["FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"],
        renames: MAX_TOKENS,
        exception: "Fireworks_aiException",
        ..ROW
    },
    Provider {
        name: "friendliai",
        base_url: Some("https://api.friendli.ai/serverless/v1"),
        base_env: &["FRIENDLI_API_BASE"],
        key_env: &["FRIENDLIAI_API_KEY", "FRIENDLI_TOKEN"],
        exception: "FriendliaiException",
        ..ROW
    },
    Provider {
        name: "galadriel",
        base_url: Some("https://api.galadriel.com/v1"),
        base_env: &["GALADRIEL_API_BASE"],
        key_env: &["GALADRIEL_API_KEY"],
        exception: "GaladrielException",
        ..ROW
    },
    Provider {
        name: "gemini",
        aliases: &["google"],
        wire: Wire::Gemini,
        base_url: Some("https://generativelanguage.googleapis.com"),
        base_env: &["GEMINI_API_BASE"],
        key_env: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        key: KeyPlacement::Header("x-goog-api-key"),
        exception: "GeminiException",
        ..ROW
    },
    Provider {
        name: "github",
        base_url: Some("https://models.inference.ai.azure.com"),
        base_env: &["GITHUB_API_BASE"],
        key_env: &["GITHUB_API_KEY", "GITHUB_TOKEN"],
        exception: "GithubException",
        ..ROW
    },
    Provider {
        name: "gmi",
        base_url: Some("https://api.gmi-serving.com/v1"),
        key_env: &["GMI_API_KEY"],
        exception: "GmiException",
        ..ROW
    },
    Provider {
        name: "gradient_ai",
        base_url: Some("https://inference.do-ai.run/v1"),
        key_env: &["GRADIENT_AI_API_KEY"],
        exception: "Gradient_aiException",
        ..ROW
    },
    Provider {
        name: "groq",
        base_url: Some("https://api.groq.com/openai/v1"),
        base_env: &["GROQ_API_BASE"],
        key_env: &["GROQ_API_KEY"],
        unsupported: &["logprobs", "logit_bias", "top_logprobs"],
        exception: "GroqException",
        ..ROW
    },
    Provider {
        name: "helicone",
        base_url: Some("https://ai-gateway.helicone.ai"),
        key_env: &["HELICONE_API_KEY"],
        exception: "HeliconeException",
        ..ROW
    },
    Provider {
        name: "heroku",
        base_env: &["HEROKU_API_BASE"],
        base_path: "/v1",
        key_env: &["HEROKU_API_KEY"],
        exception: "HerokuException",
        ..ROW
    },
    Provider {
        name: "hosted_vllm",
        aliases: &["vllm"],
        base_env: &["HOSTED_VLLM_API_BASE", "VLLM_API_BASE"],
        key_env: &["HOSTED_VLLM_API_KEY", "VLLM_API_KEY"],
        key: KeyPlacement::OptionalBearer,
        exception: "Hosted_vllmException",
        ..ROW
    },
    Provider {
        name: "huggingface",
        base_url: Some("https://router.huggingface.co/v1"),
        base_env: &["HF_API_BASE", "HUGGINGFACE_API_BASE"],
        key_env: &["HF_TOKEN", "HUGGINGFACE_API_KEY"],
        exception: "HuggingfaceException",
        ..ROW
    },
    Provider {
        name: "hyperbolic",
        base_url: Some("https://api.hyperbolic.xyz/v1"),
        base_env: &["HYPERBOLIC_API_BASE"],
        key_env: &["HYPERBOLIC_API_KEY"],
        exception: "HyperbolicException",
        ..ROW
    },
    Provider {
        name: "inception",
        base_url: Some("https://api.inceptionlabs.ai/v1"),
        base_env: &["INCEPTION_API_BASE"],
        key_env: &["INCEPTION_API_KEY"],
        exception: "InceptionException",
        ..ROW
    },
    Provider {
        name: "inferenceapis",
        base_url: Some("https://api.inferenceapis.com/v1"),
        base_env: &["INFERENCEAPIS_API_BASE"],
        key_env: &["INFERENCEAPIS_API_KEY"],
        exception: "InferenceapisException",
        ..ROW
    },
    Provider {
        name: "infinity",
        base_env: &["INFINITY_API_BASE"],
        key_env: &["INFINITY_API_KEY"],
        key: KeyPlacement::OptionalBearer,
        exception: "InfinityException",
        ..ROW
    },
    Provider {
        name: "jina_ai",
        base_url: Some("https://api.jina.ai/v1"),
        base_env: &["JINA_AI_API_BASE"],
        key_env: &["JINA_AI_API_KEY", "JINA_API_KEY", "JINA_AI_TOKEN"],
        exception: "Jina_aiException",
        ..ROW
    },
    Provider {
        name: "lambda_ai",
        base_url: Some("https://api.lambda.ai/v1"),
        base_env: &["LAMBDA_API_BASE"],
        key_env: &["LAMBDA_API_KEY"],
        exception: "Lambda_aiException",
        ..ROW
    },
    Provider {
        name: "lemonade",
        base_url: Some("http://localhost:8000/api/v1"),
        base_env: &["LEMONADE_API_BASE"],
        key_env: &["LEMONADE_API_KEY"],
        key: KeyPlacement::OptionalBearer,
        exception: "LemonadeException",
        ..ROW
    },
    Provider {
        name: "libertai",
        base_url: Some("https://api.libertai.io/v1"),
        base_env: &["LIBERTAI_API_BASE"],
        key_env: &["LIBERTAI_API_KEY"],
        renames: MAX_TOKENS,
        exception: "LibertaiException",
        ..ROW
    },
    Provider {
        name: "litellm_proxy",
        base_env: &["LITELLM_PROXY_API_BASE"],
        key_env: &["LITELLM_PROXY_API_KEY"],
        key: KeyPlacement::OptionalBearer,
        exception: "Litellm_proxyException",
        ..ROW
    },
    Provider {
        name: "llamafile",
        base_url: Some("http://127.0.0.1:8080/v1"),
        base_env: &["LLAMAFILE_API_BASE"],
        key_env: &["LLAMAFILE_API_KEY"],
        key: KeyPlacement::OptionalBearer,
        exception: "LlamafileException",
        ..ROW
    },
    Provider {
        name: "llamagate",
        base_url: Some("https://api.llamagate.dev/v1"),
        key_env: &["LLAMAGATE_API_KEY"],
        renames: MAX_TOKENS,
        exception: "LlamagateException",
        ..ROW
    },
    Provider {
        name: "lm_studio",
        base_url: Some("http://localhost:1234/v1"),
        base_env: &["LM_STUDIO_API_BASE"],
        key_env: &["LM_STUDIO_API_KEY"],
        key: KeyPlacement::OptionalBearer,
        exception: "Lm_studioException",
        ..ROW
    },
    Provider {
        name: "meta",
        base_url: Some("https://api.meta.ai/v1"),
        base_env: &["META_API_BASE"],
        key_env: &["META_API_KEY"],
        exception: "MetaException",
        ..ROW
    },
    Provider {
        name: "meta_llama",
        base_url: Some("https://api.llama.com/compat/v1"),
        base_env: &["LLAMA_API_BASE"],
        key_env: &["LLAMA_API_KEY"],
        exception: "Meta_llamaException",
        ..ROW
    },
    Provider {
        name: "minimax",
        base_url: Some("https://api.minimax.io/v1"),
        base_env: &["MINIMAX_API_BASE"],
        key_env: &["MINIMAX_API_KEY"],
        exception: "MinimaxException",
        ..ROW
    },
    Provider {
        name: "mistral",
        base_url: Some("https://api.mistral.ai/v1"),
        base_env: &["MISTRAL_AZURE_API_BASE", "MISTRAL_API_BASE"],
        key_env: &["MISTRAL_AZURE_API_KEY", "MISTRAL_API_KEY"],
        unsupported: &["user"],
        exception: "MistralException",
        ..ROW
    },
    Provider {
        name: "modelscope",
        base_url: Some("https://api-inference.modelscope.cn/v1"),
        base_env: &["MODELSCOPE_API_BASE"],
        key_env: &["MODELSCOPE_API_KEY"],
        exception: "ModelscopeException",
        ..ROW
    },
    Provider {
        name: "moonshot",
        base_url: Some("https://api.moonshot.ai/v1"),
        base_env: &["MOONSHOT_API_BASE"],
        key_env: &["MOONSHOT_API_KEY"],
        renames: MAX_TOKENS,
        exception: "MoonshotException",
        ..ROW
    },
    Provider {
        name: "morph",
        base_url: Some("https://api.morphllm.com/v1"),
        base_env: &["MORPH_API_BASE"],
        key_env: &["MORPH_API_KEY"],
        exception: "MorphException",
        ..ROW
    },
    Provider {
        name: "nadir",
        base_url: Some("https://api.getnadir.com/v1"),
        base_env: &["NADIR_API_BASE"],
        key_env: &["NADIR_API_KEY"],
        exception: "NadirException",
        ..ROW
    },
    Provider {
        name: "nano-gpt",
        base_url: Some("https://nano-gpt.com/api/v1"),
        key_env: &["NANOGPT_API_KEY"],
        renames: MAX_TOKENS,
        exception: "Nano-gptException",
        ..ROW
    },
    Provider {
        name: "nebius",
        base_url: Some("https://api.studio.nebius.ai/v1"),
        base_env: &["NEBIUS_API_BASE"],
        key_env: &["NEBIUS_API_KEY"],
        renames: MAX_TOKENS,
        exception: "NebiusException",
        ..ROW
    },
    Provider {
        name: "neosantara",
        base_url: Some("https://api.neosantara.xyz/v1"),
        base_env: &["NEOSANTARA_API_BASE"],
        key_env: &["NEOSANTARA_API_KEY"],
        renames: MAX_TOKENS,
        exception: "NeosantaraException",
        ..ROW
    },
    Provider {
        name: "novita",
        base_url: Some("https://api.novita.ai/v3/openai"),
        base_env: &["NOVITA_API_BASE"],
        key_env: &["NOVITA_API_KEY"],
        exception: "NovitaException",
        ..ROW
    },
    Provider {
        name: "nscale",
        base_url: Some("https://inference.api.nscale.com/v1"),
        base_env: &["NSCALE_API_BASE"],
        key_env: &["NSCALE_API_KEY"],
        exception: "NscaleException",
        ..ROW
    },
    Provider {
        name: "nvidia_nim",
        base_url: Some("https://integrate.api.nvidia.com/v1"),
        base_env: &["NVIDIA_NIM_API_BASE"],
        key_env: &["NVIDIA_NIM_API_KEY"],
        renames: MAX_TOKENS,
        exception: "Nvidia_nimException",
        ..ROW
    },
    Provider {
        name: "ollama",
        aliases: &["ollama_chat"],
        wire: Wire::Ollama,
        base_url: Some("http://localhost:11434"),
        base_env: &["OLLAMA_API_BASE"],
        key_env: &["OLLAMA_API_KEY"],
        key: KeyPlacement::OptionalBearer,
        exception: "OllamaException",
        ..ROW
    },
    Provider {
        name: "openai",
        base_url: Some("https://api.openai.com/v1"),
        base_env: &["OPENAI_BASE_URL", "OPENAI_API_BASE"],
        key_env: &["OPENAI_API_KEY"],
        exception: "OpenAIException",
        ..ROW
    },
    Provider {
        name: "openinfer",
        base_url: Some("https://api.openinfer.ai/v1"),
        base_env: &["OPENINFER_API_BASE"],
        key_env: &["OPENINFER_API_KEY"],
        exception: "OpeninferException",
        ..ROW
    },
    Provider {
        name: "openrouter",
        base_url: Some("https://openrouter.ai/api/v1"),
        base_env: &["OPENROUTER_API_BASE"],
        key_env: &["OPENROUTER_API_KEY", "OR_API_KEY"],
        exception: "OpenrouterException",
        ..ROW
    },
    Provider {
        name: "ovhcloud",
        base_url: Some("https://oai.endpoints.kepler.ai.cloud.ovh.net/v1"),
        base_env: &["OVHCLOUD_API_BASE"],
        key_env: &["OVHCLOUD_API_KEY"],
        exception: "OvhcloudException",
        ..ROW
    },
    Provider {
        name: "parasail",
        base_url: Some("https://api.parasail.io/v1"),
        base_env: &["PARASAIL_API_BASE"],
        key_env: &["PARASAIL_API_KEY"],
        exception: "ParasailException",
        ..ROW
    },
    Provider {
        name: "perplexity",
        base_url: Some("https://api.perplexity.ai"),
        base_env: &["PERPLEXITY_API_BASE"],
        key_env: &["PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"],
        renames: MAX_TOKENS,
        exception: "PerplexityException",
        ..ROW
    },
    Provider {
        name: "pinstripes",
        base_url: Some("https://pinstripes.io/v1"),
        base_env: &["PINSTRIPES_API_BASE"],
        key_env: &["PINSTRIPES_API_KEY"],
        renames: MAX_TOKENS,
        exception: "PinstripesException",
        ..ROW
    },
    Provider {
        name: "poe",
        base_url: Some("https://api.poe.com/v1"),
        key_env: &["POE_API_KEY"],
        renames: MAX_TOKENS,
        exception: "PoeException",
        ..ROW
    },
    Provider {
        name: "prism",
        base_url: Some("https://api.prisminference.com/v1"),
        base_env: &["PRISM_API_BASE"],
        key_env: &["PRISM_API_KEY"],
        exception: "PrismException",
        ..ROW
    },
    Provider {
        name: "publicai",
        base_url: Some("https://api.publicai.co/v1"),
        base_env: &["PUBLICAI_API_BASE"],
        key_env: &["PUBLICAI_API_KEY"],
        renames: MAX_TOKENS,
        exception: "PublicaiException",
        ..ROW
    },
    Provider {
        name: "qwen_ai_platform",
        base_url: Some("https://dashscope.aliyuncs.com/compatible-mode/v1"),
        base_env: &["QWEN_AI_PLATFORM_API_BASE"],
        key_env: &["QWEN_AI_PLATFORM_API_KEY", "DASHSCOPE_API_KEY"],
        exception: "Qwen_ai_platformException",
        ..ROW
    },
    Provider {
        name: "qwencloud",
        base_url: Some("https://dashscope-intl.aliyuncs.com/compatible-mode/v1"),
        base_env: &["QWENCLOUD_API_BASE"],
        key_env: &["QWENCLOUD_API_KEY", "DASHSCOPE_API_KEY"],
        exception: "QwencloudException",
        ..ROW
    },
    Provider {
        name: "reka",
        base_url: Some("https://api.reka.ai/v1"),
        base_env: &["REKA_API_BASE"],
        key_env: &["REKA_API_KEY"],
        exception: "RekaException",
        ..ROW
    },
    Provider {
        name: "replicate",
        wire: Wire::Replicate,
        base_url: Some("https://api.replicate.com/v1"),
        base_env: &["REPLICATE_API_BASE"],
        key_env: &["REPLICATE_API_KEY", "REPLICATE_API_TOKEN"],
        exception: "ReplicateException",
        ..ROW
    },
    Provider {
        name: "sagemaker",
        aliases: &["sagemaker_chat"],
        wire: Wire::SageMaker,
        exception: "SagemakerException",
        ..ROW
    },
    Provider {
        name: "sail",
        base_url: Some("https://api.sailresearch.com/v1"),
        base_env: &["SAIL_API_BASE"],
        key_env: &["SAIL_API_KEY"],
        exception: "SailException",
        ..ROW
    },
    Provider {
        name: "sambanova",
        base_url: Some("https://api.sambanova.ai/v1"),
        base_env: &["SAMBANOVA_API_BASE"],
        key_env: &["SAMBANOVA_API_KEY"],
        renames: MAX_TOKENS,
        exception: "SambanovaException",
        ..ROW
    },
    Provider {
        name: "sarvam",
        base_url: Some("https://api.sarvam.ai/v1"),
        key_env: &["SARVAM_API_KEY"],
        key: KeyPlacement::Header("api-subscription-key"),
        renames: MAX_TOKENS,
        exception: "SarvamException",
        ..ROW
    },
    Provider {
        name: "scaleway",
        base_url: Some("https://api.scaleway.ai/v1"),
        key_env: &["SCW_SECRET_KEY"],
        exception: "ScalewayException",
        ..ROW
    },
    Provider {
        name: "scx-ai",
        base_url: Some("https://api.scx.ai/v1"),
        base_env: &["SCX_API_BASE"],
        key_env: &["SCX_API_KEY"],
        renames: MAX_TOKENS,
        exception: "Scx-aiException",
        ..ROW
    },
    Provider {
        name: "snowflake",
        base_env: &["SNOWFLAKE_API_BASE"],
        base_path: "/cortex/v1",
        key_env: &["SNOWFLAKE_JWT"],
        exception: "SnowflakeException",
        ..ROW
    },
    Provider {
        name: "synthetic",
        base_url: Some("https://api.synthetic.new/openai/v1"),
        key_env: &["SYNTHETIC_API_KEY"],
        renames: MAX_TOKENS,
        exception: "SyntheticException",
        ..ROW
    },
    Provider {
        name: "tencent",
        base_url: Some("https://tokenhub-intl.tencentcloudmaas.com/v1"),
        base_env: &["TENCENT_API_BASE"],
        key_env: &["TENCENT_API_KEY"],
        exception: "TencentException",
        ..ROW
    },
    Provider {
        name: "tensormesh",
        base_url: Some("https://serverless.tensormesh.ai/v1"),
        base_env: &["TENSORMESH_SERVERLESS_BASE_URL"],
        key_env: &["TENSORMESH_INFERENCE_API_KEY"],
        renames: MAX_TOKENS,
        exception: "TensormeshException",
        ..ROW
    },
    Provider {
        name: "text-completion-openai",
        base_url: Some("https://api.openai.com/v1"),
        base_env: &["OPENAI_BASE_URL", "OPENAI_API_BASE"],
        key_env: &["OPENAI_API_KEY"],
        exception: "Text-completion-openaiException",
        ..ROW
    },
    Provider {
        name: "together_ai",
        base_url: Some("https://api.together.ai/v1"),
        base_env: &["TOGETHER_AI_API_BASE"],
        key_env: &["TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHERAI_API_KEY", "TOGETHER_AI_TOKEN"],
        exception: "Together_aiException",
        ..ROW
    },
    Provider {
        name: "v0",
        base_url: Some("https://api.v0.dev/v1"),
        base_env: &["V0_API_BASE"],
        key_env: &["V0_API_KEY"],
        exception: "V0Exception",
        ..ROW
    },
    Provider {
        name: "veniceai",
        base_url: Some("https://api.venice.ai/api/v1"),
        key_env: &["VENICE_AI_API_KEY"],
        exception: "VeniceaiException",
        ..ROW
    },
    Provider {
        name: "vercel_ai_gateway",
        base_url: Some("https://ai-gateway.vercel.sh/v1"),
        base_env: &["VERCEL_AI_GATEWAY_API_BASE"],
        key_env: &["VERCEL_AI_GATEWAY_API_KEY", "VERCEL_OIDC_TOKEN"],
        exception: "Vercel_ai_gatewayException",
        ..ROW
    },
    Provider {
        name: "vertex_ai",
        aliases: &["vertex_ai_beta"],
        wire: Wire::Vertex,
        base_env: &["VERTEXAI_API_BASE"],
        exception: "VertexAIException",
        ..ROW
    },
    Provider {
        name: "volcengine",
        base_url: Some("https://ark.cn-beijing.volces.com/api/v3"),
        base_env: &["VOLCENGINE_API_BASE"],
        key_env: &["VOLCENGINE_API_KEY"],
        renames: MAX_TOKENS,
        exception: "VolcengineException",
        ..ROW
    },
    Provider {
        name: "voyage",
        base_url: Some("https://api.voyageai.com/v1"),
        base_env: &["VOYAGE_API_BASE"],
        key_env: &["VOYAGE_API_KEY", "VOYAGE_AI_API_KEY"],
        exception: "VoyageException",
        ..ROW
    },
    Provider {
        name: "wandb",
        base_url: Some("https://api.inference.wandb.ai/v1"),
        base_env: &["WANDB_API_BASE"],
        key_env: &["WANDB_API_KEY"],
        renames: MAX_TOKENS,
        exception: "WandbException",
        ..ROW
    },
    Provider {
        name: "watsonx",
        aliases: &["watsonx_text"],
        wire: Wire::Watsonx,
        base_env: &["WATSONX_API_BASE", "WATSONX_URL", "WX_URL", "WML_URL"],
        key_env: &["WATSONX_APIKEY", "WATSONX_API_KEY", "WX_API_KEY"],
        exception: "WatsonxException",
        ..ROW
    },
    Provider {
        name: "xai",
        base_url: Some("https://api.x.ai/v1"),
        base_env: &["XAI_API_BASE"],
        key_env: &["XAI_API_KEY"],
        renames: MAX_TOKENS,
        exception: "XaiException",
        ..ROW
    },
    Provider {
        name: "xiaomi_mimo",
        base_url: Some("https://api.xiaomimimo.com/v1"),
        key_env: &["XIAOMI_MIMO_API_KEY"],
        renames: MAX_TOKENS,
        exception: "Xiaomi_mimoException",
        ..ROW
    },
    Provider {
        name: "xinference",
        base_url: Some("http://127.0.0.1:9997/v1"),
        base_env: &["XINFERENCE_API_BASE"],
        key_env: &["XINFERENCE_API_KEY"],
        key: KeyPlacement::OptionalBearer,
        exception: "XinferenceException",
        ..ROW
    },
    Provider {
        name: "zai",
        base_url: Some("https://api.z.ai/api/paas/v4"),
        base_env: &["ZAI_API_BASE"],
        key_env: &["ZAI_API_KEY"],
        exception: "ZaiException",
        ..ROW
    },
];

/// Provider names of LiteLLM that have no row yet: their wires, or their ways to sign in, come later.
pub(super) static KNOWN_ELSEWHERE: &[&str] = &[
    "aleph_alpha",
    "anthropic_text",
    "aws_polly",
    "aws_textract",
    "azure_speech",
    "bedrock_agentcore",
    "bedrock_mantle",
    "black_forest_labs",
    "bytez",
    "chatgpt",
    "cloudflare",
    "cursor",
    "datarobot",
    "deepgram",
    "elevenlabs",
    "exa_ai",
    "fal_ai",
    "gdc",
    "gigachat",
    "github_copilot",
    "langflow",
    "langgraph",
    "manus",
    "maritalk",
    "milvus",
    "mongodb",
    "nlp_cloud",
    "nvidia_riva",
    "oci",
    "oobabooga",
    "palm",
    "petals",
    "pg_vector",
    "predibase",
    "ragflow",
    "recraft",
    "reducto",
    "runwayml",
    "s3_vectors",
    "sagemaker_nova",
    "sap",
    "soniox",
    "stability",
    "strands_decider",
    "tavily",
    "text-completion-codestral",
    "text-completion-inception",
    "topaz",
    "transcribe",
    "triton",
    "typesafe",
    "valkey",
];
