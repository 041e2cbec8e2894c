//! The routes of OpenAI's API beside chat, completions, embeddings and models.
//!
//! Owns: [`Op`], its name, the table of methods and paths. Leaves to others: what each does (`responses`, `media`,
//! `platform`, `realtime`).
//!
//! **Invariant:** a path belongs to one resource; its method decides which of the resource's operations is meant, and
//! a method that none has is told apart from a path that none has.

use crate::surface::percent_decode;
use http::Method;

/// An operation of these routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    CreateResponse,
    GetResponse,
    DeleteResponse,
    CancelResponse,
    ListInputItems,
    CountInputTokens,
    CreateConversation,
    GetConversation,
    UpdateConversation,
    DeleteConversation,
    CreateItems,
    ListItems,
    GetItem,
    DeleteItem,
    GenerateImage,
    EditImage,
    VaryImage,
    Speak,
    Transcribe,
    Translate,
    Moderate,
    UploadFile,
    ListFiles,
    GetFile,
    FileContent,
    DeleteFile,
    CreateBatch,
    ListBatches,
    GetBatch,
    CancelBatch,
    CreateJob,
    ListJobs,
    GetJob,
    CancelJob,
    PauseJob,
    ResumeJob,
    JobEvents,
    JobCheckpoints,
    CreateStore,
    ListStores,
    GetStore,
    UpdateStore,
    DeleteStore,
    SearchStore,
    AddStoreFile,
    ListStoreFiles,
    GetStoreFile,
    UpdateStoreFile,
    StoreFileContent,
    RemoveStoreFile,
    CreateFileBatch,
    GetFileBatch,
    CancelFileBatch,
    ListFileBatch,
    CreateClientSecret,
    Realtime,
}

type Row = (Method, &'static str, Op, &'static str);

/// Method, path behind `/v1/` (`*` is an id), operation, and its name in records.
static ROWS: &[Row] = &[
    (Method::POST, "responses", Op::CreateResponse, "response"),
    (Method::POST, "responses/input_tokens", Op::CountInputTokens, "count_input_tokens"),
    (Method::GET, "responses/*", Op::GetResponse, "get_response"),
    (Method::DELETE, "responses/*", Op::DeleteResponse, "delete_response"),
    (Method::POST, "responses/*/cancel", Op::CancelResponse, "cancel_response"),
    (Method::GET, "responses/*/input_items", Op::ListInputItems, "list_input_items"),
    (Method::POST, "conversations", Op::CreateConversation, "create_conversation"),
    (Method::GET, "conversations/*", Op::GetConversation, "get_conversation"),
    (Method::POST, "conversations/*", Op::UpdateConversation, "update_conversation"),
    (Method::DELETE, "conversations/*", Op::DeleteConversation, "delete_conversation"),
    (Method::POST, "conversations/*/items", Op::CreateItems, "create_items"),
    (Method::GET, "conversations/*/items", Op::ListItems, "list_items"),
    (Method::GET, "conversations/*/items/*", Op::GetItem, "get_item"),
    (Method::DELETE, "conversations/*/items/*", Op::DeleteItem, "delete_item"),
    (Method::POST, "images/generations", Op::GenerateImage, "generate_image"),
    (Method::POST, "images/edits", Op::EditImage, "edit_image"),
    (Method::POST, "images/variations", Op::VaryImage, "vary_image"),
    (Method::POST, "audio/speech", Op::Speak, "speech"),
    (Method::POST, "audio/transcriptions", Op::Transcribe, "transcription"),
    (Method::POST, "audio/translations", Op::Translate, "translation"),
    (Method::POST, "moderations", Op::Moderate, "moderation"),
    (Method::POST, "files", Op::UploadFile, "upload_file"),
    (Method::GET, "files", Op::ListFiles, "list_files"),
    (Method::GET, "files/*", Op::GetFile, "get_file"),
    (Method::GET, "files/*/content", Op::FileContent, "file_content"),
    (Method::DELETE, "files/*", Op::DeleteFile, "delete_file"),
    (Method::POST, "batches", Op::CreateBatch, "create_batch"),
    (Method::GET, "batches", Op::ListBatches, "list_batches"),
    (Method::GET, "batches/*", Op::GetBatch, "get_batch"),
    (Method::POST, "batches/*/cancel", Op::CancelBatch, "cancel_batch"),
    (Method::POST, "fine_tuning/jobs", Op::CreateJob, "create_job"),
    (Method::GET, "fine_tuning/jobs", Op::ListJobs, "list_jobs"),
    (Method::GET, "fine_tuning/jobs/*", Op::GetJob, "get_job"),
    (Method::POST, "fine_tuning/jobs/*/cancel", Op::CancelJob, "cancel_job"),
    (Method::POST, "fine_tuning/jobs/*/pause", Op::PauseJob, "pause_job"),
    (Method::POST, "fine_tuning/jobs/*/resume", Op::ResumeJob, "resume_job"),
    (Method::GET, "fine_tuning/jobs/*/events", Op::JobEvents, "list_job_events"),
    (Method::GET, "fine_tuning/jobs/*/checkpoints", Op::JobCheckpoints, "list_job_checkpoints"),
    (Method::POST, "vector_stores", Op::CreateStore, "create_store"),
    (Method::GET, "vector_stores", Op::ListStores, "list_stores"),
    (Method::GET, "vector_stores/*", Op::GetStore, "get_store"),
    (Method::POST, "vector_stores/*", Op::UpdateStore, "update_store"),
    (Method::DELETE, "vector_stores/*", Op::DeleteStore, "delete_store"),
    (Method::POST, "vector_stores/*/search", Op::SearchStore, "search_store"),
    (Method::POST, "vector_stores/*/files", Op::AddStoreFile, "add_store_file"),
    (Method::GET, "vector_stores/*/files", Op::ListStoreFiles, "list_store_files"),
    (Method::GET, "vector_stores/*/files/*", Op::GetStoreFile, "get_store_file"),
    (Method::POST, "vector_stores/*/files/*", Op::UpdateStoreFile, "update_store_file"),
    (Method::GET, "vector_stores/*/files/*/content", Op::StoreFileContent, "store_file_content"),
    (Method::DELETE, "vector_stores/*/files/*", Op::RemoveStoreFile, "remove_store_file"),
    (Method::POST, "vector_stores/*/file_batches", Op::CreateFileBatch, "create_file_batch"),
    (Method::GET, "vector_stores/*/file_batches/*", Op::GetFileBatch, "get_file_batch"),
    (Method::POST, "vector_stores/*/file_batches/*/cancel", Op::CancelFileBatch, "cancel_file_batch"),
    (Method::GET, "vector_stores/*/file_batches/*/files", Op::ListFileBatch, "list_file_batch"),
    (Method::POST, "realtime/client_secrets", Op::CreateClientSecret, "create_client_secret"),
    (Method::GET, "realtime", Op::Realtime, "realtime"),
];

impl Op {
    fn row(self) -> Option<&'static Row> {
        ROWS.iter().find(|(_, _, op, _)| *op == self)
    }

    /// The operation's name in records.
    pub(crate) fn name(self) -> &'static str {
        self.row().map_or("", |(_, _, _, name)| name)
    }

    /// The method that the operation takes.
    pub(crate) fn method(self) -> Method {
        self.row().map_or(Method::POST, |(method, _, _, _)| method.clone())
    }

    /// The operation is one of the Responses API.
    pub(crate) fn is_of_responses(self) -> bool {
        self.row()
            .is_some_and(|(_, path, _, _)| path.starts_with("responses") || path.starts_with("conversations"))
    }

    /// The operation is about images, sounds or moderation.
    pub(crate) fn is_of_media(self) -> bool {
        use Op::{EditImage, GenerateImage, Moderate, Speak, Transcribe, Translate, VaryImage};
        matches!(self, EditImage | GenerateImage | Moderate | Speak | Transcribe | Translate | VaryImage)
    }

    /// The body must name a model.
    pub(crate) fn needs_model(self) -> bool {
        matches!(self, Op::Speak | Op::Transcribe | Op::Translate)
    }

    /// A POST without a body.
    pub(crate) fn has_no_body(self) -> bool {
        use Op::{CancelBatch, CancelFileBatch, CancelJob, CancelResponse, PauseJob, ResumeJob};
        matches!(self, CancelBatch | CancelFileBatch | CancelJob | CancelResponse | PauseJob | ResumeJob)
    }

    /// The body is a form with files in it.
    pub(crate) fn takes_form(self) -> bool {
        matches!(self, Op::EditImage | Op::VaryImage | Op::Transcribe | Op::Translate | Op::UploadFile)
    }
}

/// The operation of a path behind `/v1/`. With a method that the path does not take, one that it does.
pub(crate) fn find(method: &Method, tail: &str) -> Option<Op> {
    let rows = || ROWS.iter().filter(|(_, pattern, _, _)| matches(pattern, tail));
    let row = rows().find(|(takes, _, _, _)| takes == method).or_else(|| rows().next());
    row.map(|(_, _, op, _)| *op)
}

fn matches(pattern: &str, tail: &str) -> bool {
    let mut given = tail.split('/');
    let each = pattern.split('/').all(|wanted| {
        given.next().is_some_and(|given| wanted == given || (wanted == "*" && !given.is_empty()))
    });
    each && given.next().is_none()
}

/// The ids in a path, in order.
pub(crate) fn ids(path: &str, op: Op) -> Vec<String> {
    let Some((_, pattern, _, _)) = op.row() else { return Vec::new() };
    // Counted from the end, whatever base path comes before.
    let wanted: Vec<&str> = pattern.rsplit('/').collect();
    let given: Vec<&str> = path.rsplit('/').take(wanted.len()).collect();
    let pairs = wanted.iter().zip(given).rev().filter(|(wanted, _)| **wanted == "*");
    pairs.map(|(_, given)| percent_decode(given)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_a_method_are_one_operation() {
        for (method, tail, expect) in [
            (Method::POST, "responses", Some(Op::CreateResponse)),
            (Method::GET, "responses/resp_1", Some(Op::GetResponse)),
            (Method::DELETE, "responses/resp_1", Some(Op::DeleteResponse)),
            (Method::POST, "responses/input_tokens", Some(Op::CountInputTokens)),
            (Method::PUT, "responses", Some(Op::CreateResponse)),
            (Method::GET, "responses/", None),
            (Method::GET, "responses/a/b", None),
            (Method::GET, "vector_stores/vs/files/f/content", Some(Op::StoreFileContent)),
            (Method::GET, "elsewhere", None),
        ] {
            assert_eq!(find(&method, tail), expect, "{method} {tail}");
        }
    }

    #[test]
    fn ids_are_read_behind_any_base_path() {
        assert_eq!(ids("/d/west/v1/vector_stores/vs%201/files/f", Op::GetStoreFile), ["vs 1", "f"]);
        assert_eq!(ids("/openai/responses/r/cancel", Op::CancelResponse), ["r"]);
        assert_eq!(ids("/v1/files", Op::ListFiles), Vec::<String>::new());
    }

    #[test]
    fn every_operation_has_one_row() {
        for (index, (method, _, op, name)) in ROWS.iter().enumerate() {
            assert_eq!(ROWS.iter().position(|(_, _, other, _)| other == op), Some(index), "{name}");
            assert_eq!((op.name(), op.method()), (*name, method.clone()));
        }
    }
}
