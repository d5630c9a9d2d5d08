//! The five documents this server was first asked to honour: their examples, verbatim, and every response code they list.
//! 000, 002 and 004 are OpenStack's (`/v2.1`), 001 and 003 Cloud Servers' (`/v2`).
//!
//! One code of 001 and 003 is never answered: 203. It says that somebody between client and server has changed the answer, which
//! only a proxy can know; a client takes it as 200.

use std::sync::Arc;

use kilonova::model::image::Visibility;
use kilonova::store::StoreError;

use crate::house::{Ask, Client, House, Reply, id_of};
use crate::stage::{self, Actor};
use crate::unsteady::Faults;

const SERVER: &str = "6f9c6b2e-0000-4000-8000-000000000001";
const IMAGE: &str = "6f9c6b2e-0000-4000-8000-000000000002";
const MISSING: &str = "6f9c6b2e-0000-4000-8000-00000000dead";

/// An operation as its document has it.
struct Document {
    method: &'static str,
    /// `{tenant}` is the project, `{id}` the server or image.
    target: &'static str,
    /// The example's request and reply, to the byte where the document shows one line.
    request: &'static str,
    reply: &'static str,
}

/// 000: creates or updates a metadata item, by key, for an image.
const PUT_IMAGE_ITEM: Document = Document {
    method: "PUT",
    target: "//v2.1/{tenant}/images/{id}/metadata/auto_disk_config",
    request: "{\n    \"meta\": {\n        \"auto_disk_config\": \"False\"\n    }\n}\n",
    reply: r#"{"meta": {"auto_disk_config": "False"}}"#,
};

/// 001: sets an image's metadata item.
const SET_IMAGE_ITEM: Document = Document {
    method: "PUT",
    target: "/v2/{tenant}/images/{id}/metadata/label",
    request: "{\n  \"meta\": {\n    \"label\": \"Replaced\"\n  }\n}",
    reply: r#"{"meta": {"label": "Replaced"}}"#,
};

/// 002: creates or replaces a metadata item, by key, for a server.
const PUT_SERVER_ITEM: Document = Document {
    method: "PUT",
    target: "/v2.1/{tenant}/servers/{id}/metadata/foo",
    request: "{\n    \"meta\": {\n        \"foo\": \"Bar Value\"\n    }\n}\n",
    reply: r#"{"meta": {"foo": "Bar Value"}}"#,
};

/// 003: sets an image's metadata. Keys are answered in lower case, those that were there in their place.
const SET_IMAGE_METADATA: Document = Document {
    method: "POST",
    target: "/v2/{tenant}/images/{id}/metadata",
    request: "{\n    \"metadata\": {\n        \"Category\": \"Webserver Retail Outlet project\",\n        \
              \"Owner\": \"John, Doe\",\n        \"Label\": \"Updated\"\n    }\n}",
    reply: r#"{"metadata": {"com.rackspace__1__options": "0", "owner": "John, Doe", "base_image_ref": "ffa476b1-9b14-46bd-99a8-862d1d94eb7a", "category": "Webserver Retail Outlet project", "os_distro": "ubuntu", "label": "Updated", "auto_disk_config": "True", "os_type": "linux"}}"#,
};

/// 004: updates one or more metadata items for a server.
const UPDATE_SERVER_ITEMS: Document = Document {
    method: "POST",
    target: "/v2.1/{tenant}/servers/{id}/metadata",
    request: "{\n    \"metadata\": {\n        \"foo\": \"Foo Value\"\n    }\n}\n",
    reply: r#"{"metadata": {"a": "1", "foo": "Foo Value"}}"#,
};

/// A house in which the documents' things stand, on a store that can fail.
struct Scene {
    house: House,
    engine: Arc<Faults>,
    member: Client,
}

impl Scene {
    async fn new() -> Scene {
        let (house, engine, _) = House::unsteady().await;
        Actor::new(SERVER).enters(&house).await;
        let properties = [
            ("com.rackspace__1__options", "0"),
            ("owner", "John, Doe"),
            ("base_image_ref", "ffa476b1-9b14-46bd-99a8-862d1d94eb7a"),
            ("category", "Webserver-Beta Retail Outlet project"),
            ("os_distro", "ubuntu"),
            ("label", "Original"),
            ("auto_disk_config", "True"),
            ("os_type", "linux"),
        ];
        stage::image(&house, IMAGE, "blue", Visibility::Shared, &properties).await;
        let member = house.person("member", "blue").await;
        Scene { house, engine, member }
    }

    /// The store fails from now on, for whoever is known already.
    async fn failing(&self, document: &Document, error: StoreError) -> Reply {
        self.member.send(document.ask()).await.is(200);
        self.engine.fail(error);
        self.member.send(document.ask()).await
    }
}

impl Document {
    fn id(&self) -> &'static str {
        if self.target.contains("/images/") { IMAGE } else { SERVER }
    }

    fn path(&self, id: &str) -> String {
        self.target.replace("{tenant}", &id_of("blue")).replace("{id}", id)
    }

    /// The example, verbatim.
    fn ask(&self) -> Ask {
        self.ask_with(self.method, self.id(), self.request)
    }

    fn ask_with(&self, method: &str, id: &str, body: &str) -> Ask {
        Ask::new(method, &self.path(id)).header("accept", "application/json").json(body)
    }

    /// Brings a code about in the simplest way there is.
    async fn answers(&self, status: u16) -> Reply {
        let scene = Scene::new().await;
        let reply = match status {
            200 => scene.member.send(self.ask()).await.says(self.reply),
            400 => scene.member.send(self.ask_with(self.method, self.id(), "{")).await,
            401 => scene.house.nobody().send(self.ask()).await,
            403 => scene.house.person("reader", "blue").await.send(self.ask()).await,
            404 => scene.member.send(self.ask_with(self.method, MISSING, self.request)).await,
            405 => scene.member.send(self.ask_with("PATCH", self.id(), self.request)).await,
            // a server can be locked; an image can only be in somebody else's hands, until patience ends
            409 if self.id() == SERVER => {
                Actor { locked: true, ..Actor::new(SERVER) }.enters(&scene.house).await;
                scene.member.send(self.ask()).await
            }
            409 => scene.failing(self, StoreError::Conflict("a test's".into())).await,
            413 => scene.member.send(self.ask_with(self.method, self.id(), &" ".repeat(114_689))).await,
            415 => {
                let ask = Ask::new(self.method, &self.path(self.id())).header("content-type", "application/xml");
                scene.member.send(ask.body("<meta/>")).await
            }
            500 => scene.failing(self, StoreError::Defect("a test's".into())).await,
            503 => scene.failing(self, StoreError::Unavailable("a test's".into())).await,
            _ => panic!("no document lists {status}"),
        };
        assert_eq!(reply.status, status, "{}", reply.text());
        assert!(!reply.text().contains("a test's"), "the store's words reach the client: {}", reply.text());
        reply
    }
}

macro_rules! document {
    ($module:ident: $document:ident, $($name:ident = $status:literal),*) => {
        mod $module {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$document.answers($status).await;
                }
            )*
        }
    };
}

document!(document_000: PUT_IMAGE_ITEM, answers_200 = 200, answers_400 = 400, answers_401 = 401, answers_403 = 403,
    answers_404 = 404, answers_405 = 405, answers_409 = 409, answers_413 = 413, answers_415 = 415, answers_500 = 500,
    answers_503 = 503);
document!(document_001: SET_IMAGE_ITEM, answers_200 = 200, answers_400 = 400, answers_401 = 401, answers_403 = 403,
    answers_404 = 404, answers_405 = 405, answers_409 = 409, answers_413 = 413, answers_415 = 415, answers_500 = 500,
    answers_503 = 503);
document!(document_002: PUT_SERVER_ITEM, answers_200 = 200, answers_400 = 400, answers_401 = 401, answers_403 = 403,
    answers_404 = 404, answers_405 = 405, answers_409 = 409, answers_413 = 413, answers_415 = 415, answers_500 = 500,
    answers_503 = 503);
document!(document_003: SET_IMAGE_METADATA, answers_200 = 200, answers_400 = 400, answers_401 = 401, answers_403 = 403,
    answers_404 = 404, answers_405 = 405, answers_409 = 409, answers_413 = 413, answers_415 = 415, answers_500 = 500,
    answers_503 = 503);
document!(document_004: UPDATE_SERVER_ITEMS, answers_200 = 200, answers_400 = 400, answers_401 = 401, answers_403 = 403,
    answers_404 = 404, answers_405 = 405, answers_409 = 409, answers_413 = 413, answers_415 = 415, answers_500 = 500,
    answers_503 = 503);

#[tokio::test]
async fn document_001_answers_31_bytes() {
    assert_eq!(SET_IMAGE_ITEM.answers(200).await.body.len(), 31);
}

#[tokio::test]
async fn every_operation_of_the_documents_answers_503_while_the_store_is_down() {
    for document in [PUT_IMAGE_ITEM, SET_IMAGE_ITEM, PUT_SERVER_ITEM, SET_IMAGE_METADATA, UPDATE_SERVER_ITEMS] {
        let reply = document.answers(503).await;
        assert_eq!(reply.header("retry-after"), Some("1"), "{}", document.target);
    }
}
