// A batch from a hostile agent is refused, or it is one whose every entry holds what CheckPayload
// promises; and what was accepted survives being encoded and read again.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "api/fairlead/agent/v1/agent.pb.h"
#include "lib/wire/codec.h"

namespace {

using fairlead::agent::v1::Codec;
using fairlead::agent::v1::Payload;

void Check(Codec codec, uint32_t raw_bytes, std::string_view bytes,
           fairlead::wire::PayloadHistory* history = nullptr) {
  Payload payload;
  if (!fairlead::wire::DecodePayload(codec, raw_bytes, bytes, &payload, history).ok()) return;
  if (!fairlead::wire::CheckPayload(payload).ok()) std::abort();
  const auto again = fairlead::wire::EncodePayload(payload, fairlead::agent::v1::CODEC_ZSTD);
  if (!again.ok()) return;
  Payload back;
  if (!fairlead::wire::DecodePayload(fairlead::agent::v1::CODEC_ZSTD, again->raw_bytes,
                                     again->bytes, &back)
           .ok()) {
    std::abort();
  }
  if (back.SerializeAsString() != payload.SerializeAsString()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (text.size() < 3) return 0;
  // Two bytes claim the size, so that lies are tried as well as the truth.
  const uint32_t claimed = static_cast<uint32_t>(data[0]) << 8 | data[1];
  const std::string_view bytes = text.substr(2);
  Check(fairlead::agent::v1::CODEC_NONE, static_cast<uint32_t>(bytes.size()), bytes);
  Check(fairlead::agent::v1::CODEC_NONE, claimed, bytes);
  Check(fairlead::agent::v1::CODEC_ZSTD, claimed, bytes);
  fairlead::wire::PayloadHistory history;
  history.Add(bytes);
  Check(fairlead::agent::v1::CODEC_ZSTD, claimed, bytes, &history);
  return 0;
}
