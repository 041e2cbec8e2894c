//! Forms, files, batches and stores over a socket.

use crate::{ask, post, post_form, simulator};
use serde_json::{Value, json};

fn id(object: &Value) -> &str {
    object["id"].as_str().unwrap()
}

#[tokio::test]
async fn forms_are_read_to_the_last_byte_and_shown_in_the_record() {
    let simulator = simulator().await;
    let path = "/v1/audio/transcriptions";
    let heard = post_form(&simulator, path, &[("model", "", "whisper-1"), ("file", "a.wav", "RIFF")]).await;
    assert_eq!(heard.json()["text"], "Hello from whisper-1, a simulated model. You said: a.wav");
    let record = &simulator.received()[0];
    assert_eq!((record.model.as_str(), record.operation), ("whisper-1", "transcription"));
    let form = record.form().unwrap();
    assert_eq!((&form["form"][1]["filename"], &form["form"][1]["text"]), (&json!("a.wav"), &json!("RIFF")));
    let broken =
        post_form(&simulator, path, &[("model", "", "whisper-1\r\n--edge"), ("file", "a.wav", "RIFF")]).await;
    assert_eq!(
        (broken.status, &broken.json()["error"]["message"]),
        (400, &json!("Could not parse multipart form"))
    );
    let json = post(&simulator, path, &json!({"model": "whisper-1"})).await;
    assert_eq!((json.status, &json.json()["error"]["code"]), (415, &json!("unsupported_content_type")));
}

#[tokio::test]
async fn azure_names_the_model_of_a_form_in_its_path() {
    let simulator = simulator().await;
    let path = "/openai/deployments/whisper/audio/transcriptions?api-version=2024-10-21";
    let heard = post_form(&simulator, path, &[("file", "a.wav", "RIFF")]).await;
    assert_eq!((heard.status, simulator.received()[0].model.as_str()), (200, "whisper"), "{}", heard.text());
    let without = post_form(&simulator, "/v1/audio/transcriptions", &[("file", "a.wav", "RIFF")]).await;
    assert_eq!(without.json()["error"]["message"], "you must provide a model parameter");
}

#[tokio::test]
async fn a_file_becomes_a_batch_with_two_files_of_replies() {
    let simulator = simulator().await;
    let line = |name: &str, model: &str| {
        let body = json!({"model": model, "input": "hello"});
        json!({"custom_id": name, "method": "POST", "url": "/v1/responses", "body": body}).to_string()
    };
    let lines = format!("{}\n{}\n", line("a", "gpt-4.1"), line("b", "sim-policy"));
    let file = post_form(&simulator, "/v1/files", &[("purpose", "", "batch"), ("file", "in.jsonl", &lines)])
        .await
        .json();
    let asked = json!({"input_file_id": id(&file), "endpoint": "/v1/responses", "completion_window": "24h"});
    let batch = post(&simulator, "/v1/batches", &asked).await.json();
    let path = format!("/v1/batches/{}", id(&batch));
    assert_eq!(batch["status"], "validating");
    assert_eq!(ask(&simulator, "GET", &path).await.json()["status"], "in_progress");
    let done = ask(&simulator, "GET", &path).await.json();
    assert_eq!(
        (&done["status"], &done["request_counts"]),
        (&json!("completed"), &json!({"total": 2, "completed": 1, "failed": 1}))
    );
    for (file, name, status) in [("output_file_id", "a", 200), ("error_file_id", "b", 400)] {
        let path = format!("/v1/files/{}/content", done[file].as_str().unwrap());
        let line: Value = ask(&simulator, "GET", &path).await.json();
        assert_eq!((&line["custom_id"], &line["response"]["status_code"]), (&json!(name), &json!(status)));
    }
    assert_eq!(post(&simulator, &format!("{path}/cancel"), &json!({})).await.status, 409);
    let missing = json!({"input_file_id": "file-x", "endpoint": "/v1/responses", "completion_window": "24h"});
    assert_eq!(post(&simulator, "/v1/batches", &missing).await.json()["error"]["param"], "input_file_id");
}

#[tokio::test]
async fn a_job_runs_its_course_and_may_be_paused_and_cancelled() {
    let simulator = simulator().await;
    let parts = [("purpose", "", "fine-tune"), ("file", "in.jsonl", "{\"messages\":[]}\n")];
    let file = post_form(&simulator, "/v1/files", &parts).await.json();
    let asked = json!({"model": "gpt-4.1", "training_file": id(&file)});
    let job = post(&simulator, "/v1/fine_tuning/jobs", &asked).await.json();
    let path = format!("/v1/fine_tuning/jobs/{}", id(&job));
    assert_eq!(ask(&simulator, "GET", &path).await.json()["status"], "queued");
    for (what, status) in [("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")] {
        assert_eq!(ask(&simulator, "POST", &format!("{path}/{what}")).await.json()["status"], status);
    }
    assert_eq!(ask(&simulator, "POST", &format!("{path}/cancel")).await.status, 400);
    let wrong = json!({"model": "gpt-4.1", "training_file": "file-x"});
    assert_eq!(
        post(&simulator, "/v1/fine_tuning/jobs", &wrong).await.json()["error"]["param"],
        "training_file"
    );
}

#[tokio::test]
async fn a_store_counts_filters_and_forgets_its_files() {
    let simulator = simulator().await;
    let upload = |name: &'static str, text: &'static str| {
        let simulator = &simulator;
        async move {
            let parts = [("purpose", "", "assistants"), ("file", name, text)];
            id(&post_form(simulator, "/v1/files", &parts).await.json()).to_owned()
        }
    };
    let (oslo, rome) = (upload("oslo.txt", "rain in Oslo").await, upload("rome.txt", "sun in Rome").await);
    let store = post(&simulator, "/v1/vector_stores", &json!({"file_ids": [oslo]})).await.json();
    let path = format!("/v1/vector_stores/{}", id(&store));
    let added = json!({"file_id": rome, "attributes": {"degrees": 30}});
    assert_eq!(post(&simulator, &format!("{path}/files"), &added).await.json()["status"], "completed");
    assert_eq!(ask(&simulator, "GET", &path).await.json()["file_counts"]["total"], 2);
    let hot = json!({"type": "and", "filters": [{"type": "gte", "key": "degrees", "value": 25}]});
    for (query, names) in [
        (json!({"query": "rain in Oslo"}), vec!["oslo.txt", "rome.txt"]),
        (json!({"query": "in", "filters": hot}), vec!["rome.txt"]),
        (json!({"query": ["rain", "sun"], "max_num_results": 1}), vec!["rome.txt"]),
        (json!({"query": "snow"}), vec![]),
    ] {
        let found = post(&simulator, &format!("{path}/search"), &query).await.json();
        let found: Vec<&str> =
            found["data"].as_array().unwrap().iter().map(|one| one["filename"].as_str().unwrap()).collect();
        assert_eq!(found, names, "{query}");
    }
    assert_eq!(ask(&simulator, "DELETE", &format!("{path}/files/{rome}")).await.json()["deleted"], true);
    assert_eq!(ask(&simulator, "GET", &format!("{path}/files/{rome}")).await.status, 404);
    assert_eq!(
        post(&simulator, &format!("{path}/search"), &json!({"query": 5})).await.json()["error"]["param"],
        "query"
    );
    assert_eq!(ask(&simulator, "DELETE", &path).await.json()["object"], "vector_store.deleted");
    assert_eq!(post(&simulator, &format!("{path}/search"), &json!({"query": "x"})).await.status, 404);
}
