//! OpenAI's wire: chat completions, completions, embeddings, errors.
