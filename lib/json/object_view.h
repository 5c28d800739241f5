#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/json/splice.h"
#include "lib/json/structural.h"

namespace fairlead::json {

class TokenWalker;

// What is cut from every object before it is hashed, sent or stored (rules version 1): apiVersion,
// kind, metadata.resourceVersion, metadata.managedFields and the annotation
// kubectl.kubernetes.io/last-applied-configuration.
struct CutRules {
  static constexpr int kVersion = 1;
  bool secret_data = false;  // data and stringData as well: core Secrets
};

// What the agent needs to know of one Kubernetes object. Absent or null strings are empty.
struct ObjectView {
  std::string_view text;  // the whole object
  std::string_view api_version;
  std::string_view kind;
  std::string_view name_space;
  std::string_view name;
  std::string_view uid;
  std::string_view resource_version;
  // Annotation moniker.spinnaker.io/application, else label app.kubernetes.io/name; at most
  // ObjectReader::kMaxFieldBytes, else empty.
  std::string_view application;
  bool managed_by_spinnaker = false;  // label app.kubernetes.io/managed-by is spinnaker
  bool deleting = false;              // metadata.deletionTimestamp is set
  bool initial_events_end = false;    // annotation k8s.io/initial-events-end is "true" (KEP-3157)
  std::span<const Range> cuts;        // for Splice() and HashSpliced() over `text`
};

// One frame of a watch (Kubernetes "API concepts"): {"type": ..., "object": ...} in any key order.
struct WatchEventView {
  enum class Type { kAdded, kModified, kDeleted, kBookmark, kError };
  Type type = Type::kError;
  // kBookmark: only resource_version and initial_events_end mean something.
  // kError: only `text`, the Status as the server wrote it.
  ObjectView object;
};

// Reads object texts and watch frames: one pass, no DOM, no allocation per object once its buffers
// have grown.
//
// Guarantees: an accepted text is valid JSON in whole (UTF-8, grammar, escapes, nothing behind it,
// at
//   most TokenWalker::kMaxDepth levels), and what Splice() leaves of it is valid JSON too. Keys and
//   values are understood as JSON means them, so "met\u0061data" is metadata.
// Refuses (InvalidArgument, never quoting the text): a key named by the rules that stands twice, a
//   field of the wrong type, an object without a name, an event without a resourceVersion, identity
//   fields that are longer than kMaxFieldBytes or hold control characters.
// Duplicates among other keys pass and stay as they are.
// Views live until the next call and as long as the text given. Not thread-safe; one per thread.
class ObjectReader {
 public:
  static constexpr size_t kMaxFieldBytes = 512;

  absl::StatusOr<ObjectView> ReadObject(std::string_view text, const CutRules& rules);
  absl::StatusOr<WatchEventView> ReadWatchEvent(std::string_view frame, const CutRules& rules);

 private:
  enum Field {
    kType,
    kApiVersion,
    kKind,
    kNamespace,
    kName,
    kUid,
    kVersion,
    kAnnotation,
    kLabel,
    kValue,
    kFields
  };

  absl::Status Object(TokenWalker* walker, const CutRules& rules, ObjectView* view);
  void Member(TokenWalker* walker, std::string_view key, const CutRules& rules, bool* cut);
  void Metadata(TokenWalker* walker);
  void MetadataMember(TokenWalker* walker, std::string_view key, bool* cut);
  void Annotations(TokenWalker* walker);
  void Labels(TokenWalker* walker);

  bool ReadField(TokenWalker* walker, Field field, std::string_view* out);
  bool ReadMark(TokenWalker* walker, Field field, std::string_view* out);
  bool Once(TokenWalker* walker, unsigned bit);
  void Refuse(TokenWalker* walker, const char* why);

  std::string_view frame_;
  StructuralIndex index_;
  ObjectView view_;
  std::string_view annotated_application_;
  std::vector<Range> cuts_;
  std::array<std::string, kFields> decoded_;  // fields written with escapes
  std::string decoded_key_;
  unsigned seen_ = 0;  // bit per known key, to refuse the second
  const char* refusal_ = nullptr;
};

}  // namespace fairlead::json
