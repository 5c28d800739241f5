#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace fairlead::agent::v1 {
class Payload;
enum Codec : int;
}  // namespace fairlead::agent::v1

// The payload of a Batch as bytes, for both ends. Pure and thread-safe.
namespace fairlead::wire {

inline constexpr size_t kMaxRawPayloadBytes = size_t{16} << 20;
inline constexpr size_t kMaxEncodedPayloadBytes = size_t{4} << 20;
// Names as Kubernetes bounds them; a uid is opaque to us.
inline constexpr size_t kMaxNameBytes = 253;
inline constexpr size_t kMaxVersionBytes = 128;
inline constexpr size_t kMaxKindsInPayload = 4096;

// What the payloads before have in common with the next is not sent again: the last 16 KiB of them
// are its prefix. Both ends keep the same, as batches are made and read in order; a new grant
// begins with none. One thread.
class PayloadHistory {
 public:
  [[nodiscard]] std::string_view bytes() const { return bytes_; }
  void Add(std::string_view raw);

 private:
  std::string bytes_;
};

struct EncodedPayload {
  std::string bytes;
  uint32_t raw_bytes = 0;  // before compression
  bool prefixed = false;   // `history` is needed to decode it
};

// CODEC_NONE or CODEC_ZSTD (level 1, content size in the frame). ResourceExhausted when a bound is
// passed, InvalidArgument for another codec. With a `history` a small payload is prefixed by it and
// joins it; a large one has enough in common with itself.
absl::StatusOr<EncodedPayload> EncodePayload(const agent::v1::Payload& payload,
                                             agent::v1::Codec codec,
                                             PayloadHistory* history = nullptr);

// The reverse, for bytes of an untrusted sender; `history` for what came prefixed. After OK:
// `raw_bytes` was true and within bounds, exactly one frame was there, and CheckPayload passed.
// `out` and `history` are of no use after an error.
absl::Status DecodePayload(agent::v1::Codec codec, uint32_t raw_bytes, std::string_view bytes,
                           agent::v1::Payload* out, PayloadHistory* history = nullptr);

// What of a payload needs no state to judge: kind indexes, names, lengths of keys and hashes, a
// body exactly where one belongs. Messages name the entry by its index and quote nothing.
absl::Status CheckPayload(const agent::v1::Payload& payload);

}  // namespace fairlead::wire
