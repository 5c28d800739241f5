#include "lib/json/object_view.h"

#include <algorithm>
#include <utility>

#include "lib/base/status.h"
#include "lib/json/text.h"
#include "lib/json/walker.h"

namespace fairlead::json {
namespace {

// One bit for each key that may stand only once.
enum Known : unsigned {
  kSeenApiVersion = 1u << 0,
  kSeenKind = 1u << 1,
  kSeenMetadata = 1u << 2,
  kSeenData = 1u << 3,
  kSeenStringData = 1u << 4,
  kSeenName = 1u << 5,
  kSeenNamespace = 1u << 6,
  kSeenUid = 1u << 7,
  kSeenVersion = 1u << 8,
  kSeenDeletion = 1u << 9,
  kSeenManagedFields = 1u << 10,
  kSeenLabels = 1u << 11,
  kSeenAnnotations = 1u << 12,
  kSeenLastApplied = 1u << 13,
  kSeenMoniker = 1u << 14,
  kSeenInitialEnd = 1u << 15,
  kSeenAppName = 1u << 16,
  kSeenManagedBy = 1u << 17,
};

constexpr std::string_view kLastApplied = "kubectl.kubernetes.io/last-applied-configuration";
constexpr std::string_view kMoniker = "moniker.spinnaker.io/application";
constexpr std::string_view kInitialEnd = "k8s.io/initial-events-end";
constexpr std::string_view kAppName = "app.kubernetes.io/name";
constexpr std::string_view kManagedBy = "app.kubernetes.io/managed-by";

// A known key cannot be written longer than this: 6 bytes for each of its own.
constexpr size_t kLongestKey = 6 * kLastApplied.size();

// The key as it reads, or one that no rule knows when it cannot be a known one.
std::string_view PlainKey(std::string_view raw, std::string* decoded) {
  if (raw.size() > kLongestKey) return {};
  std::string_view key;
  return ReadString(raw, decoded, &key) ? key : std::string_view();
}

bool HasControl(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

// Cuts members out of one object so that commas stay where they belong.
class MemberCutter {
 public:
  MemberCutter(const TokenWalker& walker, std::vector<Range>* cuts)
      : walker_(walker), cuts_(cuts) {}

  // The walker stands behind the key and colon of `member`.
  void Begin(const ObjectCursor& member) {
    if (leading_) cuts_->back().end = member.begin;  // takes the comma behind the cut along
    leading_ = false;
  }
  // The walker stands behind the member's value.
  void End(const ObjectCursor& member, bool cut) {
    if (!cut) {
      kept_ = true;
      return;
    }
    leading_ = !kept_;
    Add({kept_ ? member.comma_before : member.begin, walker_.EndOfPrevious()});
  }

 private:
  void Add(Range range) {
    if (!cuts_->empty() && cuts_->back().end == range.begin) {
      cuts_->back().end = range.end;
    } else {
      cuts_->push_back(range);
    }
  }

  const TokenWalker& walker_;
  std::vector<Range>* cuts_;
  bool kept_ = false;     // a member before stays
  bool leading_ = false;  // the last member was cut and nothing before it stays
};

}  // namespace

void ObjectReader::Refuse(TokenWalker* walker, const char* why) {
  if (refusal_ == nullptr) refusal_ = why;
  walker->Fail();
}

bool ObjectReader::Once(TokenWalker* walker, unsigned bit) {
  if ((seen_ & bit) != 0) {
    Refuse(walker, "a key stands twice");
    return false;
  }
  seen_ |= bit;
  return true;
}

// A string that identifies something; null counts as absent.
bool ObjectReader::ReadField(TokenWalker* walker, Field field, std::string_view* out) {
  if (walker->Peek() != '"') {
    if (walker->Peek() != 'n') Refuse(walker, "a field is not a string");
    return !walker->failed() && walker->SkipValue();
  }
  const uint32_t begin = walker->Offset() + 1;
  walker->Take('"');
  const std::string_view raw = frame_.substr(begin, walker->EndOfPrevious() - begin - 1);
  if (raw.size() > 6 * kMaxFieldBytes || !ReadString(raw, &decoded_[field], out) ||
      out->size() > kMaxFieldBytes || HasControl(*out)) {
    *out = {};
    Refuse(walker, "a field is too long or holds control characters");
    return false;
  }
  return true;
}

// A label's or annotation's value; one of another type or size is passed over.
bool ObjectReader::ReadMark(TokenWalker* walker, Field field, std::string_view* out) {
  if (walker->Peek() != '"') return walker->SkipValue();
  const uint32_t begin = walker->Offset() + 1;
  walker->Take('"');
  const std::string_view raw = frame_.substr(begin, walker->EndOfPrevious() - begin - 1);
  if (raw.size() > 6 * kMaxFieldBytes) return true;
  if (!ReadString(raw, &decoded_[field], out)) return walker->Fail();
  if (out->size() > kMaxFieldBytes || HasControl(*out)) *out = {};
  return true;
}

void ObjectReader::Annotations(TokenWalker* walker) {
  if (!walker->Take('{')) {
    walker->SkipValue();
    return;
  }
  MemberCutter cutter(*walker, &cuts_);
  for (ObjectCursor member; member.Next(walker, frame_);) {
    cutter.Begin(member);
    const std::string_view key = PlainKey(member.key, &decoded_key_);
    bool cut = false;
    if (key == kLastApplied) {
      cut = true;
      if (Once(walker, kSeenLastApplied)) walker->SkipValue();
    } else if (key == kMoniker) {
      if (Once(walker, kSeenMoniker)) ReadMark(walker, kAnnotation, &annotated_application_);
    } else if (key == kInitialEnd) {
      std::string_view value;
      if (Once(walker, kSeenInitialEnd)) ReadMark(walker, kValue, &value);
      view_.initial_events_end = value == "true";
    } else {
      walker->SkipValue();
    }
    if (walker->failed()) return;
    cutter.End(member, cut);
  }
}

void ObjectReader::Labels(TokenWalker* walker) {
  if (!walker->Take('{')) {
    walker->SkipValue();
    return;
  }
  for (ObjectCursor member; member.Next(walker, frame_);) {
    const std::string_view key = PlainKey(member.key, &decoded_key_);
    if (key == kAppName) {
      if (Once(walker, kSeenAppName)) ReadMark(walker, kLabel, &view_.application);
    } else if (key == kManagedBy) {
      std::string_view value;
      if (Once(walker, kSeenManagedBy)) ReadMark(walker, kValue, &value);
      view_.managed_by_spinnaker = value == "spinnaker";
    } else {
      walker->SkipValue();
    }
    if (walker->failed()) return;
  }
}

void ObjectReader::MetadataMember(TokenWalker* walker, std::string_view key, bool* cut) {
  if (key == "name") {
    if (Once(walker, kSeenName)) ReadField(walker, kName, &view_.name);
  } else if (key == "namespace") {
    if (Once(walker, kSeenNamespace)) ReadField(walker, kNamespace, &view_.name_space);
  } else if (key == "uid") {
    if (Once(walker, kSeenUid)) ReadField(walker, kUid, &view_.uid);
  } else if (key == "resourceVersion") {
    *cut = true;
    if (Once(walker, kSeenVersion)) ReadField(walker, kVersion, &view_.resource_version);
  } else if (key == "managedFields") {
    *cut = true;
    if (Once(walker, kSeenManagedFields)) walker->SkipValue();
  } else if (key == "labels") {
    if (Once(walker, kSeenLabels)) Labels(walker);
  } else if (key == "annotations") {
    if (Once(walker, kSeenAnnotations)) Annotations(walker);
  } else {
    if (key == "deletionTimestamp" && Once(walker, kSeenDeletion)) {
      view_.deleting = walker->Peek() != 'n';
    }
    if (!walker->failed()) walker->SkipValue();
  }
}

void ObjectReader::Metadata(TokenWalker* walker) {
  if (!walker->Take('{')) {
    if (walker->Peek() != 'n') Refuse(walker, "metadata is not an object");
    if (!walker->failed()) walker->SkipValue();
    return;
  }
  MemberCutter cutter(*walker, &cuts_);
  for (ObjectCursor member; member.Next(walker, frame_);) {
    cutter.Begin(member);
    bool cut = false;
    MetadataMember(walker, PlainKey(member.key, &decoded_key_), &cut);
    if (walker->failed()) return;
    cutter.End(member, cut);
  }
}

void ObjectReader::Member(TokenWalker* walker, std::string_view key, const CutRules& rules,
                          bool* cut) {
  if (key == "metadata") {
    if (Once(walker, kSeenMetadata)) Metadata(walker);
  } else if (key == "apiVersion") {
    *cut = true;
    if (Once(walker, kSeenApiVersion)) ReadField(walker, kApiVersion, &view_.api_version);
  } else if (key == "kind") {
    *cut = true;
    if (Once(walker, kSeenKind)) ReadField(walker, kKind, &view_.kind);
  } else if (rules.secret_data && (key == "data" || key == "stringData")) {
    *cut = true;
    if (Once(walker, key == "data" ? kSeenData : kSeenStringData)) walker->SkipValue();
  } else {
    walker->SkipValue();
  }
}

// The walker stands at the object's first token.
absl::Status ObjectReader::Object(TokenWalker* walker, const CutRules& rules, ObjectView* view) {
  view_ = {};
  annotated_application_ = {};
  cuts_.clear();
  seen_ = 0;
  const uint32_t begin = walker->Offset();
  if (!walker->Take('{'))
    return absl::InvalidArgumentError("an object's text is not a JSON object");
  MemberCutter cutter(*walker, &cuts_);
  for (ObjectCursor member; member.Next(walker, frame_);) {
    cutter.Begin(member);
    bool cut = false;
    Member(walker, PlainKey(member.key, &decoded_key_), rules, &cut);
    if (walker->failed()) break;
    cutter.End(member, cut);
  }
  if (refusal_ != nullptr) return absl::InvalidArgumentError(refusal_);
  FAIRLEAD_RETURN_IF_ERROR(walker->status());
  for (Range& cut : cuts_) cut = {cut.begin - begin, cut.end - begin};
  if (!annotated_application_.empty()) view_.application = annotated_application_;
  view_.text = frame_.substr(begin, walker->EndOfPrevious() - begin);
  view_.cuts = cuts_;
  *view = view_;
  return absl::OkStatus();
}

absl::StatusOr<ObjectView> ObjectReader::ReadObject(std::string_view text, const CutRules& rules) {
  frame_ = text;
  refusal_ = nullptr;
  FAIRLEAD_RETURN_IF_ERROR(index_.Build(text));
  TokenWalker walker(text, index_);
  ObjectView view;
  FAIRLEAD_RETURN_IF_ERROR(Object(&walker, rules, &view));
  if (!walker.AtEnd()) return absl::InvalidArgumentError("text stands behind an object");
  if (!EscapesAreValid(text)) return absl::InvalidArgumentError("JSON: bad escape in a string");
  if (view.name.empty()) return absl::InvalidArgumentError("an object has no metadata.name");
  return view;
}

namespace {

bool ReadEventType(std::string_view name, WatchEventView::Type* type) {
  using Type = WatchEventView::Type;
  if (name == "ADDED")
    *type = Type::kAdded;
  else if (name == "MODIFIED")
    *type = Type::kModified;
  else if (name == "DELETED")
    *type = Type::kDeleted;
  else if (name == "BOOKMARK")
    *type = Type::kBookmark;
  else if (name == "ERROR")
    *type = Type::kError;
  else
    return false;
  return true;
}

absl::Status CheckEvent(const WatchEventView& event) {
  using Type = WatchEventView::Type;
  if (event.type == Type::kError) return absl::OkStatus();
  if (event.object.resource_version.empty()) {
    return absl::InvalidArgumentError("a watch event has no metadata.resourceVersion");
  }
  if (event.type != Type::kBookmark && event.object.name.empty()) {
    return absl::InvalidArgumentError("a watch event's object has no metadata.name");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<WatchEventView> ObjectReader::ReadWatchEvent(std::string_view frame,
                                                            const CutRules& rules) {
  frame_ = frame;
  refusal_ = nullptr;
  FAIRLEAD_RETURN_IF_ERROR(index_.Build(frame));
  TokenWalker walker(frame, index_);
  WatchEventView event;
  std::string_view type;
  bool has_type = false;
  bool has_object = false;
  if (!walker.Take('{')) return absl::InvalidArgumentError("a watch frame is not a JSON object");
  for (ObjectCursor member; member.Next(&walker, frame);) {
    const std::string_view key = PlainKey(member.key, &decoded_key_);
    if (key == "type" && !std::exchange(has_type, true)) {
      ReadField(&walker, kType, &type);
    } else if (key == "object" && !std::exchange(has_object, true)) {
      FAIRLEAD_RETURN_IF_ERROR(
          base::WithContext(Object(&walker, rules, &event.object), "watch frame"));
    } else if (key == "type" || key == "object") {
      Refuse(&walker, "a key stands twice");
    } else {
      walker.SkipValue();
    }
  }
  if (refusal_ != nullptr)
    return absl::InvalidArgumentError(base::StrCat("watch frame: ", refusal_));
  FAIRLEAD_RETURN_IF_ERROR(base::WithContext(walker.status(), "watch frame"));
  if (!walker.AtEnd()) return absl::InvalidArgumentError("text stands behind a watch frame");
  if (!EscapesAreValid(frame)) return absl::InvalidArgumentError("JSON: bad escape in a string");
  if (!has_type || !has_object)
    return absl::InvalidArgumentError("a watch frame lacks type or object");
  if (!ReadEventType(type, &event.type)) {
    return absl::InvalidArgumentError("a watch event has a type that is not known");
  }
  FAIRLEAD_RETURN_IF_ERROR(CheckEvent(event));
  return event;
}

}  // namespace fairlead::json
