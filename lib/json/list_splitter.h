#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/json/structural.h"

namespace fairlead::json {

// What a list says of itself (Kubernetes ListMeta).
struct ListMeta {
  std::string api_version;
  std::string kind;
  std::string resource_version;
  std::string continue_token;
  std::optional<int64_t> remaining_item_count;
  uint64_t items = 0;           // given out
  uint64_t oversize_items = 0;  // skipped: they exist on the server but were not given out
};

// Follows one JSON value from its first byte to its last over any number of pieces. Brackets of
// both kinds count alike; whoever parses the value finds what is wrong inside it.
class ValueScanner {
 public:
  void Start(char first);
  // Bytes of `text` that belong to the value, from its first byte on in the first call. done()
  // tells whether its end was seen; a number or literal ends before the first byte that is not its
  // own.
  size_t Scan(std::string_view text);
  bool done() const { return done_; }

 private:
  size_t ScanScalar(std::string_view text);
  size_t ScanNested(std::string_view text);

  uint64_t depth_ = 0;
  bool scalar_ = false;
  bool in_string_ = false;
  bool escaped_ = false;
  bool done_ = false;
};

// Splits the answer to a Kubernetes LIST while it arrives, so that no page is ever held whole.
//
// Use: Feed(piece); while (auto item = Next()) ...; at the end of the body Finish().
// Guarantees: items come out in order and byte for byte, the same however the body is cut; an item
// in
//   one piece is not copied, any other once; memory is at most max_item_bytes + max_envelope_bytes.
//   Finish() is OK only for a whole list: what is absent from anything less says nothing. So items
//   may be used as they come, but conclusions from absence wait for Finish().
// Does not check what is inside an item (ObjectReader does); an item that is not an object, a key
// of
//   the envelope that stands twice, an "items" that is not an array or null are errors.
// An item longer than max_item_bytes is skipped and counted.
// Views live until the next call; the piece must live until Next() says nullopt. Not thread-safe.
class ListSplitter {
 public:
  struct Options {
    size_t max_item_bytes = size_t{4} << 20;
    size_t max_envelope_bytes = size_t{256} << 10;  // one member of the list other than items
  };
  ListSplitter() = default;
  explicit ListSplitter(const Options& options) : options_(options) {}

  // The piece before must have been read to its end, unless status() is an error.
  void Feed(std::string_view piece);
  // The next item; nullopt when the piece is used up or status() is an error.
  std::optional<std::string_view> Next();
  // InvalidArgument or ResourceExhausted for what can never become a list; it stays.
  const absl::Status& status() const { return status_; }
  // The error of status(); DataLoss when the body ended before the list did; else the list's own
  // data.
  absl::StatusOr<ListMeta> Finish();

 private:
  enum class State {
    kStart,
    kFirstKey,
    kKey,
    kInKey,
    kColon,
    kValue,
    kInValue,
    kAfterValue,
    kFirstItem,
    kItem,
    kInItem,
    kAfterItem,
    kEnd
  };

  std::optional<std::string_view> Step();
  void OnPunctuation(char c);
  void OnItemPunctuation(char c);
  void StartKey();
  void StartValue(char c);
  bool CollectEnvelope();
  std::optional<std::string_view> CollectItem();
  void EndKey();
  void EndValue();
  void Fail(std::string_view why);
  bool Once(unsigned bit);
  absl::Status ReadString(std::string_view text, std::string* out);
  absl::Status ReadMetadata(std::string_view text);
  absl::Status ReadMetaMember(std::string_view key, std::string_view value);

  Options options_;
  State state_ = State::kStart;
  std::string_view piece_;
  std::string buffer_;  // a key, value or item that began in an earlier piece
  bool buffer_is_out_ = false;
  bool oversize_ = false;
  std::string key_;
  unsigned seen_ = 0;
  ValueScanner scanner_;
  StructuralIndex index_;
  ListMeta meta_;
  absl::Status status_;
};

}  // namespace fairlead::json
