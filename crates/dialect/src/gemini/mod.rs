//! Gemini's wire: generateContent, streams, embeddings, errors.
