#include "unit/fakes/fake_hub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/json/dom.h"
#include "unit/fakes/manual_loop.h"
#include "unit/fakes/memory_transport.h"

namespace fairlead::fakes {
namespace {

struct Heard : net::ResponseHandler {
  void OnHeaders(int code, const net::Headers&) override { status = code; }
  void OnData(std::string_view data) override { body += data; }
  void OnEnd(const absl::Status& why) override { end = why; }
  int status = 0;
  std::string body;
  absl::Status end;
};

class FakeHubTest : public ::testing::Test {
 protected:
  Heard Call(const std::string& method, const std::string& target, const std::string& body = "",
             const std::string& type = "application/json") {
    Heard heard;
    net::HttpRequest request{method, target, {{"content-type", type}}, body};
    const auto stream = transport_.Start(request, {}, &heard);
    loop_.Run();
    return heard;
  }
  Heard Apply(const std::string& manager, const std::string& body, const std::string& sub = "") {
    return Call("PATCH", kThing + sub + "?fieldManager=" + manager + "&force=true", body,
                "application/apply-patch+yaml");
  }
  Heard Patch(const std::string& body) {
    return Call("PATCH", kThing, body, "application/json-patch+json");
  }
  Json::Value Thing() { return hub_.Get("things", "s", "a"); }

  const std::string kThing = "/apis/fairlead.dev/v1/namespaces/s/things/a";
  ManualLoop loop_;
  FakeHub hub_{"hub"};
  MemoryTransport transport_{
      [this](const auto& request, auto reply) { hub_.Handle(request, reply); }, &loop_};
};

TEST_F(FakeHubTest, AFieldNoLongerAppliedGoesUnlessAnotherManagerOwnsIt) {
  Apply("one", R"({"apiVersion":"fairlead.dev/v1","spec":{"a":1,"b":{"c":2}}})");
  Apply("two", R"({"spec":{"a":1}})");
  Apply("one", R"({"apiVersion":"fairlead.dev/v1","spec":{"d":3}})");
  EXPECT_EQ(json::WriteJson(Thing()["spec"]), R"({"a":1,"d":3})");
}

TEST_F(FakeHubTest, AWriteThatChangesNothingMovesNothing) {
  Apply("one", R"({"apiVersion":"fairlead.dev/v1","spec":{"a":1}})");
  const Json::Value before = Thing();
  Apply("one", R"({"apiVersion":"fairlead.dev/v1","spec":{"a":1}})");
  EXPECT_EQ(Thing(), before);
  Apply("one", R"({"status":{"x":1}})", "/status");
  EXPECT_EQ(Thing()["metadata"]["generation"], 1);
  EXPECT_NE(Thing()["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"]);
  Apply("one", R"({"apiVersion":"fairlead.dev/v1","spec":{"a":2}})");
  EXPECT_EQ(Thing()["metadata"]["generation"], 2);
  EXPECT_EQ(Thing()["status"]["x"], 1) << "the object's own endpoint leaves status alone";
}

TEST_F(FakeHubTest, AFinalizerHoldsADeletedObjectAndNoNewOneIsTaken) {
  Apply("one", R"({"spec":{}})");
  EXPECT_EQ(Patch(R"([{"op":"add","path":"/metadata/finalizers","value":["f"]}])").status, 200);
  EXPECT_EQ(Call("DELETE", kThing, R"({"preconditions":{"uid":"other"}})").status, 409);
  EXPECT_EQ(Call("DELETE", kThing, "{}").status, 200);
  EXPECT_TRUE(Thing()["metadata"].isMember("deletionTimestamp"));
  EXPECT_EQ(Patch(R"([{"op":"add","path":"/metadata/finalizers/-","value":"g"}])").status, 422);
  EXPECT_EQ(Patch(R"([{"op":"test","path":"/metadata/finalizers/0","value":"g"}])").status, 422);
  EXPECT_EQ(Patch(R"([{"op":"remove","path":"/metadata/finalizers/0"}])").status, 200);
  EXPECT_TRUE(Thing().isNull());
}

TEST_F(FakeHubTest, AWatchSeesWhatHappensAndAnExpiredOneIsRefused) {
  const std::string watch =
      "/apis/fairlead.dev/v1/namespaces/s/things?watch=1&resourceVersion=1001";
  Heard heard;
  const auto stream = transport_.Start({"GET", watch, {}, ""}, {}, &heard);
  Apply("one", R"({"spec":{}})");
  hub_.Remove("things", "s", "a");
  loop_.Run();
  EXPECT_THAT(heard.body,
              ::testing::AllOf(::testing::HasSubstr("ADDED"), ::testing::HasSubstr("DELETED")));
  hub_.Compact();
  EXPECT_EQ(Call("GET", watch).status, 410);
}

TEST_F(FakeHubTest, ALostAnswerTookEffectAndALostRequestDidNot) {
  hub_.set_script([](const net::HttpRequest&) { return FakeHub::Fate{.lost = true}; });
  EXPECT_FALSE(Apply("one", R"({"spec":{}})").end.ok());
  EXPECT_TRUE(Thing().isNull());
  hub_.set_script([](const net::HttpRequest&) { return FakeHub::Fate{.answer_lost = true}; });
  EXPECT_FALSE(Apply("one", R"({"spec":{}})").end.ok());
  EXPECT_FALSE(Thing().isNull());
}

}  // namespace
}  // namespace fairlead::fakes
