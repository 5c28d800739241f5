#pragma once

#include <cstdint>
#include <string>
#include <vector>

// Seeded synthetic pods for the replay server: 8.9 KB of compact JSON each as an API server writes
// them, random where real ones are random (uids, hashes, addresses, times), so compression is
// honest.
namespace fairlead::bench {

class Corpus {
 public:
  // `shapes` distinct bodies are kept; object i uses shape i % shapes with its own name and uid.
  Corpus(uint64_t seed, int shapes);

  // Object `index` as of `version`: another resourceVersion and another annotation value each time.
  // Appends compact JSON without a newline.
  void AppendPod(uint64_t index, uint64_t version, uint64_t resource_version,
                 std::string* out) const;

  // The annotation value, 32 hex digits, that tells one version of an object from the next.
  static std::string ChangeOf(uint64_t index, uint64_t version);
  static std::string PodName(uint64_t index);
  static std::string PodUid(uint64_t index);

 private:
  struct Shape {
    std::string text;
    size_t name_at = 0;
    size_t uid_at = 0;
    size_t version_at = 0;  // resourceVersion, 12 digits
    size_t change_at = 0;   // the annotation that changes, 32 hex digits
  };
  std::vector<Shape> shapes_;
};

}  // namespace fairlead::bench
