#include "lib/wire/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zstd.h>

#include "api/fairlead/agent/v1/agent.pb.h"

namespace fairlead::wire {
namespace {

namespace v1 = agent::v1;

v1::Payload OneUpsert(const std::string& body = R"({"spec":{}})") {
  v1::Payload payload;
  v1::Kind* kind = payload.add_kinds();
  kind->set_resource("pods");
  kind->set_kind("Pod");
  kind->set_version("v1");
  kind->set_namespaced(true);
  v1::Change* change = payload.add_entries()->mutable_change();
  change->set_operation(v1::Change::UPSERT);
  change->set_name_space("shop");
  change->set_name("web-1");
  change->set_uid("u1");
  change->set_resource_version("41");
  change->set_content_hash(std::string(16, 'h'));
  change->set_body(body);
  return payload;
}

absl::Status RoundTrip(const v1::Payload& payload, v1::Codec codec, v1::Payload* out) {
  absl::StatusOr<EncodedPayload> encoded = EncodePayload(payload, codec);
  if (!encoded.ok()) return encoded.status();
  return DecodePayload(codec, encoded->raw_bytes, encoded->bytes, out);
}

TEST(Codec, WhatWasEncodedComesBackByEitherCodec) {
  const v1::Payload payload = OneUpsert();
  for (const v1::Codec codec : {v1::CODEC_NONE, v1::CODEC_ZSTD}) {
    v1::Payload out;
    ASSERT_TRUE(RoundTrip(payload, codec, &out).ok());
    EXPECT_EQ(out.SerializeAsString(), payload.SerializeAsString());
  }
}

TEST(Codec, ZstdMakesARepetitiveBodySmall) {
  const auto encoded = EncodePayload(OneUpsert(std::string(100000, 'x')), v1::CODEC_ZSTD);
  ASSERT_TRUE(encoded.ok());
  EXPECT_LT(encoded->bytes.size(), 1000U);
  EXPECT_GT(encoded->raw_bytes, 100000U);
}

TEST(Codec, SmallPayloadsArePrefixedByThoseBefore) {
  PayloadHistory sender;
  PayloadHistory receiver;
  std::string body;
  for (int i = 0; i < 300; ++i) body += std::to_string(i * 7919 % 10007) + ",";
  for (const size_t length : {1400U, 1300U, 200'000U, 1200U, 30'000U, 5U, 1400U}) {
    v1::Payload payload =
        OneUpsert(body.substr(0, length) + std::string(length > 1400 ? length : 0, 'x'));
    const auto encoded = EncodePayload(payload, v1::CODEC_ZSTD, &sender);
    ASSERT_TRUE(encoded.ok());
    EXPECT_EQ(encoded->prefixed, length < 100'000)
        << "a large one has enough in common with itself";
    v1::Payload out;
    ASSERT_TRUE(DecodePayload(v1::CODEC_ZSTD, encoded->raw_bytes, encoded->bytes, &out,
                              encoded->prefixed ? &receiver : nullptr)
                    .ok());
    EXPECT_EQ(out.SerializeAsString(), payload.SerializeAsString());
    EXPECT_EQ(sender.bytes(), receiver.bytes());
    EXPECT_LE(sender.bytes().size(), size_t{16} << 10);
    if (length == 1300) {
      EXPECT_LT(encoded->bytes.size(), 100U);
    }
  }
  EXPECT_FALSE(EncodePayload(OneUpsert(), v1::CODEC_NONE, &sender)->prefixed);
}

TEST(Codec, APrefixedPayloadIsNothingWithoutItsHistory) {
  PayloadHistory history;
  ASSERT_TRUE(EncodePayload(OneUpsert(), v1::CODEC_ZSTD, &history).ok());
  const auto second = EncodePayload(OneUpsert(), v1::CODEC_ZSTD, &history);
  v1::Payload out;
  EXPECT_FALSE(DecodePayload(v1::CODEC_ZSTD, second->raw_bytes, second->bytes, &out).ok());
  PayloadHistory empty;
  EXPECT_FALSE(DecodePayload(v1::CODEC_ZSTD, second->raw_bytes, second->bytes, &out, &empty).ok());
}

TEST(Codec, APayloadOver16MiBIsNotEncoded) {
  const auto encoded = EncodePayload(OneUpsert(std::string(17 << 20, 'x')), v1::CODEC_ZSTD);
  EXPECT_EQ(encoded.status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(Codec, AnUnknownCodecIsRefusedBothWays) {
  v1::Payload out;
  EXPECT_FALSE(EncodePayload(OneUpsert(), static_cast<v1::Codec>(9)).ok());
  EXPECT_FALSE(DecodePayload(static_cast<v1::Codec>(9), 0, "", &out).ok());
}

TEST(Codec, AFrameThatUnpacksToMoreThanPromisedIsRefusedBeforeItIsUnpacked) {
  const std::string big(1 << 20, 'x');
  std::string frame(ZSTD_compressBound(big.size()), '\0');
  frame.resize(ZSTD_compress(frame.data(), frame.size(), big.data(), big.size(), 1));
  v1::Payload out;
  EXPECT_EQ(DecodePayload(v1::CODEC_ZSTD, 1000, frame, &out).message(),
            "payload: zstd frame of another size than promised");
  EXPECT_EQ(DecodePayload(v1::CODEC_ZSTD, 17 << 20, frame, &out).code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(Codec, CutDamagedAndTrailingBytesAreRefused) {
  const auto encoded = EncodePayload(OneUpsert(), v1::CODEC_ZSTD);
  ASSERT_TRUE(encoded.ok());
  v1::Payload out;
  for (size_t size = 0; size < encoded->bytes.size(); ++size) {
    EXPECT_FALSE(
        DecodePayload(v1::CODEC_ZSTD, encoded->raw_bytes, encoded->bytes.substr(0, size), &out)
            .ok());
  }
  EXPECT_FALSE(
      DecodePayload(v1::CODEC_ZSTD, encoded->raw_bytes, encoded->bytes + "more", &out).ok());
  EXPECT_FALSE(DecodePayload(v1::CODEC_NONE, 4, "\xff\xff\xff\xff", &out).ok());
  EXPECT_FALSE(DecodePayload(v1::CODEC_NONE, 5, "", &out).ok());
}

TEST(Codec, AKindIndexOutsideTheListIsRefused) {
  v1::Payload payload = OneUpsert();
  payload.mutable_entries(0)->mutable_change()->set_kind(1);
  EXPECT_EQ(CheckPayload(payload).message(), "payload: entry 0: unknown kind index");
}

TEST(Codec, NamesThatNoServerGivesAreRefused) {
  for (const std::string& name :
       {std::string(), std::string("a/b"), std::string("a\nb"), std::string(254, 'a')}) {
    v1::Payload payload = OneUpsert();
    payload.mutable_entries(0)->mutable_change()->set_name(name);
    EXPECT_FALSE(CheckPayload(payload).ok()) << name;
  }
}

TEST(Codec, AnUpsertNeedsABodyAndAHashAndADeleteHasNeither) {
  v1::Payload payload = OneUpsert();
  payload.mutable_entries(0)->mutable_change()->set_content_hash("short");
  EXPECT_FALSE(CheckPayload(payload).ok());
  payload = OneUpsert("");
  EXPECT_FALSE(CheckPayload(payload).ok());
  payload = OneUpsert();
  payload.mutable_entries(0)->mutable_change()->set_operation(v1::Change::DELETE);
  EXPECT_FALSE(CheckPayload(payload).ok());
  payload.mutable_entries(0)->mutable_change()->clear_body();
  payload.mutable_entries(0)->mutable_change()->clear_content_hash();
  EXPECT_TRUE(CheckPayload(payload).ok());
}

TEST(Codec, AnEntryOfALaterVersionIsLetThrough) {
  v1::Payload payload = OneUpsert();
  payload.add_entries();
  EXPECT_TRUE(CheckPayload(payload).ok());
}

TEST(Codec, SnapshotPartsNeedTheirIdAndHashes) {
  v1::Payload payload = OneUpsert();
  v1::SnapshotPage* page = payload.add_entries()->mutable_snapshot_page();
  page->set_snapshot_id(std::string(16, 's'));
  v1::SnapshotItem* item = page->add_items();
  item->set_name("web");
  EXPECT_FALSE(CheckPayload(payload).ok());
  item->set_content_hash(std::string(16, 'h'));
  EXPECT_TRUE(CheckPayload(payload).ok());
  page->set_snapshot_id("x");
  EXPECT_FALSE(CheckPayload(payload).ok());
}

}  // namespace
}  // namespace fairlead::wire
