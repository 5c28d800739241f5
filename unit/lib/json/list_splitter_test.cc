#include "lib/json/list_splitter.h"

#include <gtest/gtest.h>

#include <vector>

namespace fairlead::json {
namespace {

using Items = std::vector<std::string>;

void Read(ListSplitter* splitter, std::string_view piece, Items* out) {
  const std::string own(piece);  // so that a view kept too long is seen by the address sanitizer
  splitter->Feed(own);
  while (auto item = splitter->Next()) out->emplace_back(*item);
}

absl::StatusOr<ListMeta> ReadAll(std::string_view body, Items* items,
                                 const ListSplitter::Options& options = {}) {
  ListSplitter splitter(options);
  Read(&splitter, body, items);
  return splitter.Finish();
}

absl::StatusCode CodeOf(std::string_view body) {
  Items items;
  return ReadAll(body, &items).status().code();
}

constexpr std::string_view kList =
    R"({"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"4\u00311",)"
    R"("continue":"abc==","remainingItemCount":9007199254740993,"selfLink":""},)"
    R"("items":[{"a":"}]\"\\"},  {"b":[{"c":{}}],"n":1.10} ,{}]})"
    "\n";

TEST(ListSplitter, ItemsAndMetadataAreTheSameWhereverTheBodyIsCut) {
  const Items expected = {R"({"a":"}]\"\\"})", R"({"b":[{"c":{}}],"n":1.10})", "{}"};
  for (size_t first = 0; first <= kList.size(); ++first) {
    for (size_t second = first; second <= kList.size(); ++second) {
      ListSplitter splitter;
      Items items;
      Read(&splitter, kList.substr(0, first), &items);
      Read(&splitter, kList.substr(first, second - first), &items);
      Read(&splitter, kList.substr(second), &items);
      ASSERT_EQ(items, expected) << first << " " << second;
      auto meta = splitter.Finish();
      ASSERT_TRUE(meta.ok()) << meta.status();
      ASSERT_EQ(meta->kind, "PodList");
      ASSERT_EQ(meta->api_version, "v1");
      ASSERT_EQ(meta->resource_version, "411");
      ASSERT_EQ(meta->continue_token, "abc==");
      ASSERT_EQ(meta->remaining_item_count, 9007199254740993);
      ASSERT_EQ(meta->items, 3u);
    }
  }
}

TEST(ListSplitter, AnyOrderOfMembersWillDo) {
  Items items;
  auto meta = ReadAll(
      R"({"items":[{"a":1}],"unknown":[{"x":null}],"metadata":{"resourceVersion":"5"},"kind":"L"})",
      &items);
  ASSERT_TRUE(meta.ok()) << meta.status();
  EXPECT_EQ(items, Items{R"({"a":1})"});
  EXPECT_EQ(meta->resource_version, "5");
  EXPECT_EQ(meta->kind, "L");
  EXPECT_FALSE(meta->remaining_item_count);
}

TEST(ListSplitter, AnItemComesOutBeforeTheListEndsAndWithoutACopy) {
  ListSplitter splitter;
  const std::string piece = R"({"items":[{"a":1},{"b")";
  splitter.Feed(piece);
  auto item = splitter.Next();
  ASSERT_TRUE(item);
  EXPECT_EQ(item->data(), piece.data() + piece.find("{\"a"));
  EXPECT_FALSE(splitter.Next());
}

TEST(ListSplitter, AnEmptyListMayBeNull) {
  Items items;
  EXPECT_TRUE(ReadAll(R"({"metadata":{},"items":null})", &items).ok());
  EXPECT_TRUE(ReadAll(R"({"metadata":{"resourceVersion":null},"items":[ ]})", &items).ok());
  EXPECT_TRUE(items.empty());
}

TEST(ListSplitter, ATruncatedListIsNeverAWholeOne) {
  const std::string_view whole = kList.substr(0, kList.size() - 1);
  for (size_t size = 0; size < whole.size(); ++size) {
    ASSERT_EQ(CodeOf(whole.substr(0, size)), absl::StatusCode::kDataLoss) << size;
  }
  EXPECT_EQ(CodeOf(whole), absl::StatusCode::kOk);
}

TEST(ListSplitter, RefusesWhatIsNotAList) {
  for (const char* body :
       {"[]",
        "x",
        "{}",
        R"({"metadata":{}})",
        R"({"items":[]})",
        R"({"items":{},"metadata":{}})",
        R"({"items":[1],"metadata":{}})",
        R"({"items":["a"],"metadata":{}})",
        R"({"items":[{},],"metadata":{}})",
        R"({"items":[,{}],"metadata":{}})",
        R"({"items":[{}{}],"metadata":{}})",
        R"({"items":[{}]],"metadata":{}})",
        R"({"items":[],"metadata":{},})",
        R"({"items":[],"metadata":{}} {})",
        R"({"items":[],"items":[],"metadata":{}})",
        R"({"items":null,"it\u0065ms":[],"metadata":{}})",
        R"({"items":[],"metadata":{},"metadata":{}})",
        R"({"items":[],"metadata":null})",
        R"({"items":[],"metadata":{"resourceVersion":1}})",
        R"({"items":[],"metadata":{"resourceVersion":"1","resourceVersion":"2"}})",
        R"({"items":[],"metadata":{"remainingItemCount":"1"}})",
        R"({"items":[],"metadata":{"remainingItemCount":-1}})",
        R"({"items":[],"metadata":{"remainingItemCount":1.5}})",
        R"({"items":[],"metadata":{"a":01}})",
        R"({"items":[],"metadata":{},"x":})",
        R"({"items":[],"metadata":{},"x":tru})",
        R"({"items":[],"metadata":{} "x":1})",
        R"({"items":[],"metadata":{},x:1})",
        R"({"items":[],"metadata":{"continue":"\q"}})",
        R"({"items":[],"metadata":{},"\q":1})",
        R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure"})"}) {
    EXPECT_EQ(CodeOf(body), absl::StatusCode::kInvalidArgument) << body;
  }
}

TEST(ListSplitter, AnOversizeItemIsSkippedAndCountedWhereverTheBodyIsCut) {
  const std::string body =
      R"({"metadata":{},"items":[{"a":1},{"b":"0123456789012345678901234567890123456789"},{"c":2}]})";
  for (size_t cut = 0; cut <= body.size(); ++cut) {
    ListSplitter splitter({.max_item_bytes = 20});
    Items items;
    Read(&splitter, body.substr(0, cut), &items);
    Read(&splitter, body.substr(cut), &items);
    ASSERT_EQ(items, (Items{R"({"a":1})", R"({"c":2})"})) << cut;
    auto meta = splitter.Finish();
    ASSERT_TRUE(meta.ok());
    ASSERT_EQ(meta->oversize_items, 1u);
    ASSERT_EQ(meta->items, 2u);
  }
}

TEST(ListSplitter, WhatStandsBesideTheItemsIsBounded) {
  Items items;
  const std::string body = R"({"metadata":{},"items":[],"x":")" + std::string(1000, 'x') + "\"}";
  EXPECT_EQ(ReadAll(body, &items, {.max_envelope_bytes = 500}).status().code(),
            absl::StatusCode::kResourceExhausted);
  const std::string key = R"({"metadata":{},"items":[],")" + std::string(1000, 'x') + "\":1}";
  EXPECT_EQ(ReadAll(key, &items, {.max_envelope_bytes = 500}).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(ReadAll(body, &items).ok());
}

TEST(ListSplitter, AnErrorStaysWhateverComesAfterIt) {
  ListSplitter splitter;
  Items items;
  Read(&splitter, "[", &items);
  Read(&splitter, R"({"metadata":{},"items":[{}]})", &items);
  EXPECT_TRUE(items.empty());
  EXPECT_FALSE(splitter.status().ok());
  EXPECT_FALSE(splitter.Finish().ok());
}

TEST(ListSplitter, ErrorsDoNotQuoteTheText) {
  Items items;
  auto meta = ReadAll(R"({"items":[],"metadata":{"continue":canary},"canary":canary})", &items);
  ASSERT_FALSE(meta.ok());
  EXPECT_EQ(meta.status().ToString().find("canary"), std::string::npos);
}

}  // namespace
}  // namespace fairlead::json
