#include "lib/json/list_splitter.h"

#include <array>
#include <charconv>

#include "lib/base/check.h"
#include "lib/base/status.h"
#include "lib/json/text.h"
#include "lib/json/walker.h"

namespace fairlead::json {
namespace {

enum Known : unsigned {
  kSeenApiVersion = 1u << 0,
  kSeenKind = 1u << 1,
  kSeenMetadata = 1u << 2,
  kSeenItems = 1u << 3,
  kSeenVersion = 1u << 4,
  kSeenContinue = 1u << 5,
  kSeenRemaining = 1u << 6,
};

// Bytes that matter outside a string.
constexpr std::array<bool, 256> kMark = [] {
  std::array<bool, 256> mark{};
  for (const char c : {'"', '{', '}', '[', ']'}) mark[static_cast<unsigned char>(c)] = true;
  return mark;
}();

bool IsMark(char c) { return kMark[static_cast<unsigned char>(c)]; }

bool EndsScalar(char c) { return IsSpace(c) || c == ',' || c == '}' || c == ']'; }

}  // namespace

void ValueScanner::Start(char first) {
  *this = ValueScanner();
  scalar_ = first != '{' && first != '[' && first != '"';
}

size_t ValueScanner::Scan(std::string_view text) {
  return scalar_ ? ScanScalar(text) : ScanNested(text);
}

size_t ValueScanner::ScanScalar(std::string_view text) {
  size_t at = 0;
  while (at < text.size() && !EndsScalar(text[at])) ++at;
  done_ = at < text.size();
  return at;
}

size_t ValueScanner::ScanNested(std::string_view text) {
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    if (in_string_) {
      if (escaped_) {
        escaped_ = false;
        ++at;
        continue;
      }
      while (at < end && *at != '"' && *at != '\\') ++at;
      if (at == end) break;
      if (*at++ == '\\') {
        escaped_ = true;
        continue;
      }
      in_string_ = false;
    } else {
      while (at < end && !IsMark(*at)) ++at;
      if (at == end) break;
      const char c = *at++;
      if (c == '"') {
        in_string_ = true;
        continue;
      }
      depth_ += c == '{' || c == '[' ? 1 : -1;
    }
    if (depth_ == 0) {
      done_ = true;
      break;
    }
  }
  return static_cast<size_t>(at - text.data());
}

void ListSplitter::Feed(std::string_view piece) {
  FAIRLEAD_CHECK(piece_.empty() || !status_.ok());
  piece_ = piece;
}

void ListSplitter::Fail(std::string_view why) {
  if (status_.ok()) status_ = absl::InvalidArgumentError(base::StrCat("list: ", why));
}

bool ListSplitter::Once(unsigned bit) {
  if ((seen_ & bit) != 0) Fail("a key stands twice");
  seen_ |= bit;
  return status_.ok();
}

std::optional<std::string_view> ListSplitter::Next() {
  while (status_.ok()) {
    if (buffer_is_out_) {
      buffer_.clear();
      buffer_is_out_ = false;
    }
    if (piece_.empty()) return std::nullopt;
    if (std::optional<std::string_view> item = Step()) return item;
  }
  return std::nullopt;
}

std::optional<std::string_view> ListSplitter::Step() {
  if (state_ == State::kInItem) return CollectItem();
  if (state_ == State::kInKey || state_ == State::kInValue) {
    if (CollectEnvelope()) state_ == State::kInKey ? EndKey() : EndValue();
    return std::nullopt;
  }
  const char c = piece_.front();
  if (IsSpace(c)) {
    piece_.remove_prefix(1);
  } else if (state_ == State::kFirstItem || state_ == State::kItem || state_ == State::kAfterItem) {
    OnItemPunctuation(c);
  } else {
    OnPunctuation(c);
  }
  return std::nullopt;
}

// One byte of the envelope that is neither white space nor inside a key or value.
void ListSplitter::OnPunctuation(char c) {
  if (state_ == State::kValue) return StartValue(c);
  if ((state_ == State::kFirstKey || state_ == State::kKey) && c == '"') return StartKey();
  if (state_ == State::kStart && c == '{') {
    state_ = State::kFirstKey;
  } else if (state_ == State::kColon && c == ':') {
    state_ = State::kValue;
  } else if (state_ == State::kAfterValue && c == ',') {
    state_ = State::kKey;
  } else if ((state_ == State::kAfterValue || state_ == State::kFirstKey) && c == '}') {
    state_ = State::kEnd;
  } else {
    return Fail(state_ == State::kEnd ? "text stands behind it" : "malformed");
  }
  piece_.remove_prefix(1);
}

void ListSplitter::OnItemPunctuation(char c) {
  if (state_ != State::kAfterItem && c == '{') {
    scanner_.Start(c);
    oversize_ = false;
    state_ = State::kInItem;
    return;
  }
  if (state_ != State::kItem && c == ']') {
    state_ = State::kAfterValue;
  } else if (state_ == State::kAfterItem && c == ',') {
    state_ = State::kItem;
  } else {
    return Fail("an item is not an object, or items are not apart");
  }
  piece_.remove_prefix(1);
}

void ListSplitter::StartKey() {
  scanner_.Start('"');
  state_ = State::kInKey;
}

void ListSplitter::StartValue(char c) {
  if (key_ == "items" && c == '[') {
    if (!Once(kSeenItems)) return;
    piece_.remove_prefix(1);
    state_ = State::kFirstItem;
    return;
  }
  scanner_.Start(c);
  state_ = State::kInValue;
}

// Gathers a key or a value into buffer_; true when it is whole.
bool ListSplitter::CollectEnvelope() {
  const size_t size = scanner_.Scan(piece_);
  if (buffer_.size() + size > options_.max_envelope_bytes) {
    status_ = absl::ResourceExhaustedError(base::StrCat(
        "list: a member beside items is longer than ", options_.max_envelope_bytes, " bytes"));
    return false;
  }
  buffer_.append(piece_.substr(0, size));
  piece_.remove_prefix(size);
  return scanner_.done();
}

std::optional<std::string_view> ListSplitter::CollectItem() {
  const std::string_view part = piece_.substr(0, scanner_.Scan(piece_));
  piece_.remove_prefix(part.size());
  if (!oversize_ && buffer_.size() + part.size() > options_.max_item_bytes) {
    std::string().swap(buffer_);
    oversize_ = true;
    ++meta_.oversize_items;
  }
  if (!scanner_.done()) {
    if (!oversize_) buffer_ += part;
    return std::nullopt;
  }
  state_ = State::kAfterItem;
  if (oversize_) return std::nullopt;
  ++meta_.items;
  if (buffer_.empty()) return part;
  buffer_ += part;
  buffer_is_out_ = true;
  return buffer_;
}

void ListSplitter::EndKey() {
  status_ = base::WithContext(ReadString(buffer_, &key_), "list: a key");
  buffer_.clear();
  state_ = State::kColon;
}

void ListSplitter::EndValue() {
  absl::Status read;
  if (key_ == "items") {
    // An empty list of Go may be written as null.
    if (Once(kSeenItems) && buffer_ != "null") Fail("items is not an array");
  } else if (key_ == "metadata") {
    if (Once(kSeenMetadata)) read = ReadMetadata(buffer_);
  } else if (key_ == "apiVersion") {
    if (Once(kSeenApiVersion)) read = ReadString(buffer_, &meta_.api_version);
  } else if (key_ == "kind") {
    if (Once(kSeenKind)) read = ReadString(buffer_, &meta_.kind);
  } else {
    read = CheckJson(buffer_, &index_);
  }
  if (!read.ok()) status_ = base::WithContext(read, "list");
  buffer_.clear();
  state_ = State::kAfterValue;
}

absl::Status ListSplitter::ReadString(std::string_view text, std::string* out) {
  FAIRLEAD_RETURN_IF_ERROR(CheckJson(text, &index_));
  if (text == "null") return absl::OkStatus();
  if (text.front() != '"') return absl::InvalidArgumentError("a field is not a string");
  if (!DecodeString(text.substr(1, text.size() - 2), out)) {
    return absl::InvalidArgumentError("JSON: bad escape in a string");
  }
  return absl::OkStatus();
}

absl::Status ListSplitter::ReadMetadata(std::string_view text) {
  FAIRLEAD_RETURN_IF_ERROR(CheckJson(text, &index_));
  TokenWalker walker(text, index_);
  if (!walker.Take('{')) return absl::InvalidArgumentError("metadata is not an object");
  // The values are read after the walk, as reading one rebuilds the index.
  struct Found {
    std::string_view key;
    std::string_view value;
  };
  std::array<Found, 8> found;
  size_t count = 0;
  for (ObjectCursor member; member.Next(&walker, text);) {
    const uint32_t begin = walker.Offset();
    if (!walker.SkipValue()) break;
    std::string key;
    if (!DecodeString(member.key, &key)) break;
    const bool known = key == "resourceVersion" || key == "continue" || key == "remainingItemCount";
    if (!known) continue;
    if (count == found.size()) return absl::InvalidArgumentError("a key stands twice");
    found[count++] = {member.key, text.substr(begin, walker.EndOfPrevious() - begin)};
  }
  FAIRLEAD_RETURN_IF_ERROR(walker.status());
  for (size_t i = 0; i < count; ++i) {
    FAIRLEAD_RETURN_IF_ERROR(ReadMetaMember(found[i].key, found[i].value));
  }
  return absl::OkStatus();
}

absl::Status ListSplitter::ReadMetaMember(std::string_view raw_key, std::string_view value) {
  std::string key;
  DecodeString(raw_key, &key);
  if (key == "resourceVersion") {
    return Once(kSeenVersion) ? ReadString(value, &meta_.resource_version) : status_;
  }
  if (key == "continue") {
    return Once(kSeenContinue) ? ReadString(value, &meta_.continue_token) : status_;
  }
  if (!Once(kSeenRemaining)) return status_;
  if (value == "null") return absl::OkStatus();
  int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size() || number < 0) {
    return absl::InvalidArgumentError("remainingItemCount is not a count");
  }
  meta_.remaining_item_count = number;
  return absl::OkStatus();
}

absl::StatusOr<ListMeta> ListSplitter::Finish() {
  if (!status_.ok()) return status_;
  FAIRLEAD_CHECK(piece_.empty());
  if (state_ != State::kEnd) {
    return absl::DataLossError(base::StrCat("the list is cut off after ", meta_.items, " items"));
  }
  if ((seen_ & kSeenItems) == 0 || (seen_ & kSeenMetadata) == 0) {
    return absl::InvalidArgumentError("the answer is not a list: it lacks items or metadata");
  }
  return meta_;
}

}  // namespace fairlead::json
