#include "lib/json/object_view.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "lib/json/dom.h"

namespace fairlead::json {
namespace {

std::string Cut(std::string_view text, CutRules rules = {}) {
  ObjectReader reader;
  auto view = reader.ReadObject(text, rules);
  if (!view.ok()) return std::string(view.status().message());
  std::string out;
  Splice(view->text, view->cuts, &out);
  EXPECT_EQ(out.size(), SplicedSize(view->text, view->cuts));
  base::Sha256Trunc128Stream hash;
  EXPECT_EQ(HashSpliced(view->text, view->cuts, &hash), base::Sha256Trunc128(out));
  return out;
}

absl::StatusCode CodeOf(std::string_view text) {
  return ObjectReader().ReadObject(text, {}).status().code();
}

constexpr std::string_view kPod =
    R"({"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","namespace":"shop","uid":"u-1",)"
    R"("resourceVersion":"41","deletionTimestamp":"2026-01-01T00:00:00Z",)"
    R"("labels":{"app.kubernetes.io/managed-by":"spinnaker","app.kubernetes.io/name":"label"},)"
    R"("annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"x\":1}\n","keep":"1",)"
    R"("moniker.spinnaker.io/application":"shop"},)"
    R"("managedFields":[{"manager":"kubectl","fieldsV1":{"f:a":{}}}]},)"
    R"("spec":{"n":9007199254740993,"f":1.10,"e":1e3,"u":"\u00e9\ud83d\ude00 é","z":-0.0}})";

TEST(ObjectView, ReadsWhatTheAgentNeeds) {
  ObjectReader reader;
  auto view = reader.ReadObject(kPod, {});
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->text, kPod);
  EXPECT_EQ(view->kind, "Pod");
  EXPECT_EQ(view->api_version, "v1");
  EXPECT_EQ(view->name, "a");
  EXPECT_EQ(view->name_space, "shop");
  EXPECT_EQ(view->uid, "u-1");
  EXPECT_EQ(view->resource_version, "41");
  EXPECT_EQ(view->application, "shop");
  EXPECT_TRUE(view->managed_by_spinnaker);
  EXPECT_TRUE(view->deleting);
}

TEST(ObjectView, CutsTheRulesAndKeepsEveryOtherByte) {
  EXPECT_EQ(
      Cut(kPod),
      R"({"metadata":{"name":"a","namespace":"shop","uid":"u-1",)"
      R"("deletionTimestamp":"2026-01-01T00:00:00Z",)"
      R"("labels":{"app.kubernetes.io/managed-by":"spinnaker","app.kubernetes.io/name":"label"},)"
      R"("annotations":{"keep":"1","moniker.spinnaker.io/application":"shop"}},)"
      R"("spec":{"n":9007199254740993,"f":1.10,"e":1e3,"u":"\u00e9\ud83d\ude00 é","z":-0.0}})");
}

TEST(ObjectView, AnItemOfAListAndTheSameObjectOfAWatchAreEqualOnceCut) {
  EXPECT_EQ(Cut(R"({"metadata":{"name":"a","resourceVersion":"1"},"spec":{}})"),
            Cut(R"({"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"},"spec":{}})"));
}

TEST(ObjectView, CommasStayRightWhereverTheCutsStand) {
  const std::string kept = R"("name":"a")";
  const std::vector<std::string> members = {R"("resourceVersion":"1")", kept,
                                            R"("managedFields":[])", R"("x":{"managedFields":1})"};
  std::vector<size_t> order = {0, 1, 2, 3};
  do {
    std::string metadata;
    std::string expected;
    for (const size_t i : order) {
      metadata += (metadata.empty() ? "" : ",") + members[i];
      if (i == 1 || i == 3) expected += (expected.empty() ? "" : ",") + members[i];
    }
    EXPECT_EQ(Cut("{\"metadata\":{" + metadata + "}}"), "{\"metadata\":{" + expected + "}}");
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(ObjectView, WhatIsAllCutLeavesAnEmptyObject) {
  EXPECT_EQ(Cut(R"({"metadata":{"name":"a","annotations":)"
                R"({"kubectl.kubernetes.io/last-applied-configuration":"x"}},"kind":"A"})"),
            R"({"metadata":{"name":"a","annotations":{}}})");
}

TEST(ObjectView, WhiteSpaceAroundCutsLeavesValidJson) {
  const std::string cut =
      Cut("{ \"kind\" : \"A\" , \"metadata\" : { \"resourceVersion\" : \"1\" , \"managedFields\" : "
          "[ ] ,\n"
          "\"name\" : \"a\" , \"managedFieldsX\" : 1 } , \"apiVersion\" : \"v1\" }");
  auto value = ParseJson(cut);
  ASSERT_TRUE(value.ok()) << cut;
  EXPECT_EQ(WriteJson(*value), R"({"metadata":{"managedFieldsX":1,"name":"a"}})");
}

TEST(ObjectView, SecretDataIsCutOnlyWhenTheRuleIsOn) {
  const std::string secret =
      R"({"data":{"a":"Y2FuYXJ5"},"metadata":{"name":"a"},"stringData":{"b":"canary"},"type":"x"})";
  EXPECT_EQ(Cut(secret), secret);
  EXPECT_EQ(Cut(secret, {.secret_data = true}), R"({"metadata":{"name":"a"},"type":"x"})");
}

TEST(ObjectView, SecretDataUnderEscapedKeysIsCutToo) {
  const std::string cut = Cut(
      R"({"d\u0061ta":{"a":"canary"},"met\u0061data":{"name":"a","managed\u0046ields":"canary",)"
      R"("annotations":{"kubectl.kubernetes.io\/last-applied-configuration":"canary"}},)"
      R"("\u0073tring\u0044ata":"canary"})",
      {.secret_data = true});
  EXPECT_EQ(cut, R"({"met\u0061data":{"name":"a","annotations":{}}})");
}

TEST(ObjectView, KeysInsideOtherObjectsAreNotTheRules) {
  const std::string text =
      R"({"metadata":{"name":"a"},"spec":{"metadata":{"managedFields":1},"kind":"B","data":1}})";
  EXPECT_EQ(Cut(text, {.secret_data = true}), text);
}

TEST(ObjectView, AKeyOfTheRulesThatStandsTwiceIsRefused) {
  for (const char* text :
       {R"({"metadata":{"name":"a"},"metadata":{"name":"b"}})",
        R"({"metadata":{"name":"a"},"met\u0061data":{}})",
        R"({"metadata":{"name":"a","name":"b"}})",
        R"({"kind":"A","kind":"B","metadata":{"name":"a"}})",
        R"({"metadata":{"name":"a","managedFields":1,"managedFields":2}})",
        R"({"metadata":{"name":"a","annotations":{},"annotations":{}}})",
        R"({"metadata":{"name":"a","annotations":{"moniker.spinnaker.io/application":"a",)"
        R"("moniker.spinnaker.io/application":"b"}}})"}) {
    EXPECT_EQ(CodeOf(text), absl::StatusCode::kInvalidArgument) << text;
  }
  ObjectReader reader;
  EXPECT_FALSE(reader.ReadObject(R"({"metadata":{"name":"a"},"data":1,"data":2})", {true}).ok());
}

TEST(ObjectView, WrongTypesAndBadFieldsAreRefused) {
  for (const char* text :
       {"", "[]", "3", "{}", R"({"metadata":null})", R"({"metadata":{}})", R"({"metadata":[]})",
        R"({"metadata":{"name":3}})", R"({"metadata":{"name":"a","uid":{}}})",
        R"({"metadata":{"name":"a\u0000b"}})", R"({"metadata":{"name":"a\ud800"}})",
        R"({"metadata":{"name":"a"}} x)", R"({"metadata":{"name":"a"}}{})",
        R"({"metadata":{"name":"a"},"spec":{"a":"\q"}})", R"({"metadata":{"name":"a"},"spec":01})",
        "{\"metadata\":{\"name\":\"a\"},\"spec\":\"\xff\"}"}) {
    EXPECT_EQ(CodeOf(text), absl::StatusCode::kInvalidArgument) << text;
  }
  EXPECT_FALSE(ObjectReader()
                   .ReadObject("{\"metadata\":{\"name\":\"" + std::string(600, 'a') + "\"}}", {})
                   .ok());
}

TEST(ObjectView, NullsAndOddLabelsAreAbsent) {
  ObjectReader reader;
  auto view = reader.ReadObject(
      R"({"metadata":{"name":"a","namespace":null,"deletionTimestamp":null,"labels":null,)"
      R"("annotations":{"moniker.spinnaker.io/application":3}},"kind":null})",
      {});
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->name_space, "");
  EXPECT_EQ(view->application, "");
  EXPECT_FALSE(view->deleting);
}

TEST(ObjectView, TheApplicationFallsBackToTheLabel) {
  ObjectReader reader;
  auto view = reader.ReadObject(
      R"({"metadata":{"name":"a","labels":{"app.kubernetes.io/name":"l\u0061bel"}}})", {});
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(view->application, "label");
  EXPECT_FALSE(view->managed_by_spinnaker);
}

TEST(ObjectView, ATruncatedTextIsAlwaysRefused) {
  for (size_t size = 0; size < kPod.size(); ++size) {
    // On the heap and exactly as long, so that reading behind it is seen by the address sanitizer.
    const std::string piece(kPod.substr(0, size));
    ASSERT_EQ(CodeOf(piece), absl::StatusCode::kInvalidArgument) << size;
  }
}

TEST(ObjectView, AnObjectOfSeveralMegabytesPasses) {
  const std::string big = R"({"metadata":{"name":"a","resourceVersion":"1"},"x":{"k":")" +
                          std::string(1400000, 'x') + "\"}}";
  EXPECT_EQ(Cut(big).size(), big.size() - std::string(R"(,"resourceVersion":"1")").size());
}

TEST(ObjectView, NestingIsLimited) {
  const auto nested = [](int depth) {
    return R"({"metadata":{"name":"a"},"spec":)" + std::string(depth, '[') +
           std::string(depth, ']') + "}";
  };
  EXPECT_EQ(CodeOf(nested(1000)), absl::StatusCode::kOk);
  EXPECT_EQ(CodeOf(nested(1001)), absl::StatusCode::kInvalidArgument);
}

TEST(ObjectView, ErrorsDoNotQuoteTheText) {
  for (const char* text : {R"({"metadata":{"name":"canary","name":"canary"}})",
                           R"({"metadata":{"name":canary}})", R"({"canary":"\q"})"}) {
    const auto view = ObjectReader().ReadObject(text, {});
    ASSERT_FALSE(view.ok());
    EXPECT_EQ(view.status().ToString().find("canary"), std::string::npos);
  }
}

using Type = WatchEventView::Type;

TEST(WatchEventView, ReadsTypeAndObjectInEitherOrder) {
  ObjectReader reader;
  for (const std::string& frame :
       {"{\"type\":\"MODIFIED\",\"object\":" + std::string(kPod) + "}",
        " {\"x\":[1], \"object\" : " + std::string(kPod) + " ,\"type\" : \"MODIFIED\" }\r"}) {
    auto event = reader.ReadWatchEvent(frame, {});
    ASSERT_TRUE(event.ok()) << event.status();
    EXPECT_EQ(event->type, Type::kModified);
    EXPECT_EQ(event->object.text, kPod);
    EXPECT_EQ(event->object.name, "a");
    std::string out;
    Splice(event->object.text, event->object.cuts, &out);
    EXPECT_EQ(out, Cut(kPod));
  }
}

TEST(WatchEventView, KnowsEveryType) {
  ObjectReader reader;
  const std::vector<std::pair<std::string, Type>> types = {{"ADDED", Type::kAdded},
                                                           {"MODIFIED", Type::kModified},
                                                           {"DELETED", Type::kDeleted},
                                                           {"BOOKMARK", Type::kBookmark},
                                                           {"ERROR", Type::kError}};
  for (const auto& [name, type] : types) {
    auto event = reader.ReadWatchEvent(
        "{\"type\":\"" + name + R"(","object":{"metadata":{"name":"a","resourceVersion":"7"}}})",
        {});
    ASSERT_TRUE(event.ok()) << event.status();
    EXPECT_EQ(event->type, type);
  }
}

TEST(WatchEventView, ABookmarkNeedsNoNameAndMayEndTheInitialEvents) {
  ObjectReader reader;
  auto event = reader.ReadWatchEvent(
      R"({"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"12746",)"
      R"("annotations":{"k8s.io/initial-events-end":"true"}}}})",
      {});
  ASSERT_TRUE(event.ok()) << event.status();
  EXPECT_EQ(event->object.resource_version, "12746");
  EXPECT_TRUE(event->object.initial_events_end);
}

TEST(WatchEventView, AnErrorHandsOutTheStatusAsWritten) {
  const std::string status =
      R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","code":410})";
  ObjectReader reader;
  const std::string frame =
      "{\"type\":\"ERROR\",\"object\":" + status + "}";  // the view lives in it
  auto event = reader.ReadWatchEvent(frame, {});
  ASSERT_TRUE(event.ok()) << event.status();
  EXPECT_EQ(event->type, Type::kError);
  EXPECT_EQ(event->object.text, status);
}

TEST(WatchEventView, RefusesWhatIsNotAnEvent) {
  for (
      const char* frame :
      {"", "[]", "{}", R"({"type":"ADDED"})", R"({"object":{"metadata":{"name":"a"}}})",
       R"({"type":"ADDED","object":{"metadata":{"resourceVersion":"1"}}})",
       R"({"type":"ADDED","object":{"metadata":{"name":"a"}}})",
       R"({"type":"BOOKMARK","object":{"metadata":{}}})", R"({"type":"ADDED","object":null})",
       R"({"type":"NEW","object":{"metadata":{"name":"a","resourceVersion":"1"}}})",
       R"({"type":"ADDED","type":"DELETED","object":{"metadata":{"name":"a","resourceVersion":"1"}}})",
       R"({"type":"ERROR","object":{},"obj\u0065ct":{}})", R"({"type":"ERROR","object":{}} x)",
       R"({"type":"ERROR","object":{"a":"\q"}})", R"({"type":7,"object":{}})"}) {
    EXPECT_EQ(ObjectReader().ReadWatchEvent(frame, {}).status().code(),
              absl::StatusCode::kInvalidArgument)
        << frame;
  }
}

TEST(WatchEventView, ATruncatedFrameIsAlwaysRefused) {
  const std::string frame = "{\"type\":\"ADDED\",\"object\":" + std::string(kPod) + "}";
  ObjectReader reader;
  for (size_t size = 0; size < frame.size(); ++size) {
    const std::string piece = frame.substr(0, size);
    ASSERT_FALSE(reader.ReadWatchEvent(piece, {}).ok()) << size;
  }
  EXPECT_TRUE(reader.ReadWatchEvent(frame, {}).ok());
}

TEST(WatchEventView, OneReaderServesManyFrames) {
  ObjectReader reader;
  ASSERT_FALSE(reader.ReadObject(R"({"metadata":{"name":"a","name":"a"}})", {}).ok());
  ASSERT_TRUE(reader.ReadObject(kPod, {}).ok());
  auto view = reader.ReadObject(R"({"metadata":{"name":"b"}})", {});
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(view->application, "");
  EXPECT_TRUE(view->cuts.empty());
}

}  // namespace
}  // namespace fairlead::json
