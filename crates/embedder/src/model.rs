//! The model: numbers of words into vectors.
//!
//! Owns the engine's graph and the pooling. It leaves words to `words` and threads to `embedder`.
//!
//! **Invariant**: every vector has [`WIDTH`] finite numbers and the length 1; nothing is loaded before [`Model::load`].

use std::sync::Arc;

use rten::{ModelOptions, NodeId, RunOptions, ThreadPool, op_registry};
use rten_tensor::NdTensor;
use rten_tensor::prelude::*;

use crate::{Broken, Embedding, WIDTH};

/// all-MiniLM-L6-v2, its matrices in int8 (dynamic quantisation, per channel); `cargo xtask weights` makes it again.
const FILE: &[u8] = include_bytes!("../model/all-MiniLM-L6-v2-int8.onnx");

/// The loaded model: some 45 MB of memory with its matrices laid out for the processor.
#[derive(Debug)]
pub(crate) struct Model {
    graph: rten::Model,
    ids: NodeId,
    mask: NodeId,
    out: NodeId,
}

impl Model {
    /// Loads the model from the binary.
    ///
    /// # Errors
    /// Where the engine does not take the file, which a test rules out for the file that is committed.
    pub(crate) fn load() -> Result<Self, Broken> {
        // The operators of this graph and no others: the rest of the engine's stay out of the binary.
        let operators = op_registry!(
            Add,
            Cast,
            DequantizeLinear,
            DynamicQuantizeLinear,
            Erf,
            Gather,
            Identity,
            LayerNormalization,
            MatMul,
            MatMulInteger,
            Mul,
            Reshape,
            Shape,
            Slice,
            Softmax,
            Sub,
            Transpose,
            Unsqueeze
        );
        let graph = ModelOptions::with_ops(operators)
            .prepack_weights(true)
            .load_static_slice(FILE)
            .map_err(|error| Broken(error.to_string()))?;
        let node = |name| graph.node_id(name).map_err(|error| Broken(error.to_string()));
        let (ids, mask, out) = (node("input_ids")?, node("attention_mask")?, node("last_hidden_state")?);
        Ok(Self { graph, ids, mask, out })
    }

    /// The vectors of some texts, in their order. `pool` is the threads that compute.
    ///
    /// One scale quantises the whole batch: a vector differs by about 0.01 (cosine) with the company that it was computed in.
    ///
    /// # Errors
    /// Where the engine fails, in which case no text has a vector.
    pub(crate) fn vectors(&self, texts: &[&[i32]], pool: &Arc<ThreadPool>) -> Result<Vec<Embedding>, Broken> {
        let length = texts.iter().map(|text| text.len()).max().unwrap_or_default();
        if length == 0 {
            return Ok(Vec::new());
        }
        let mut ids = Vec::with_capacity(texts.len() * length);
        let mut mask = Vec::with_capacity(texts.len() * length);
        for text in texts {
            let padding = length - text.len();
            ids.extend(text.iter().copied().chain(std::iter::repeat_n(0, padding)));
            mask.extend(std::iter::repeat_n(1, text.len()).chain(std::iter::repeat_n(0, padding)));
        }
        let shape = [texts.len(), length];
        let inputs = vec![
            (self.ids, NdTensor::from_data(shape, ids).into()),
            (self.mask, NdTensor::from_data(shape, mask).into()),
        ];
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(pool)));
        let broken = |error: &dyn std::fmt::Display| Broken(error.to_string());
        let [states] = self.graph.run_n(inputs, [self.out], Some(options)).map_err(|error| broken(&error))?;
        let states: NdTensor<f32, 3> = states.try_into().map_err(|error| broken(&error))?;
        let states = states.to_vec();
        let whole = states.chunks_exact(length * WIDTH);
        texts.iter().zip(whole).map(|(text, states)| pooled(states, text.len())).collect()
    }
}

/// The mean over a text's own tokens, brought to length 1: how this model was trained (its model card; Reimers and Gurevych
/// 2019, section 3).
fn pooled(states: &[f32], tokens: usize) -> Result<Embedding, Broken> {
    let mut sums = [0.0_f32; WIDTH];
    for state in states.chunks_exact(WIDTH).take(tokens) {
        for (sum, value) in sums.iter_mut().zip(state) {
            *sum += value;
        }
    }
    let length = sums.iter().map(|sum| sum * sum).sum::<f32>().sqrt();
    if !length.is_normal() {
        return Err(Broken(format!("a vector of length {length}")));
    }
    Ok(sums.iter().map(|sum| sum / length).collect())
}
