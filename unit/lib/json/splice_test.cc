#include "lib/json/splice.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "lib/base/backoff.h"
#include "lib/json/dom.h"
#include "lib/json/object_view.h"

// Cutting bytes against cutting a DOM: parse(spliced) must equal cut(parse(original)).
namespace fairlead::json {
namespace {

// Objects with the keys of the rules at every level, in any order, some written with escapes.
class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed) {}

  std::string Object() {
    std::vector<std::string> members = {Member("metadata", Metadata())};
    for (const char* key : {"apiVersion", "kind"}) {
      if (Roll(2)) members.push_back(Member(key, "\"v1\""));
    }
    for (const char* key : {"data", "stringData", "spec", "status", "managedFields"}) {
      if (Roll(2)) members.push_back(Member(key, Value(4)));
    }
    return Join(std::move(members));
  }

  bool Roll(uint64_t sides) { return base::NextRandom(&random_) % sides == 0; }

 private:
  std::string Metadata() {
    std::vector<std::string> members = {Member("name", "\"a\"")};
    if (Roll(2)) members.push_back(Member("resourceVersion", "\"12\""));
    for (const char* key : {"managedFields", "generation", "ownerReferences", "data", "kind"}) {
      if (Roll(2)) members.push_back(Member(key, Value(3)));
    }
    if (Roll(2)) members.push_back(Member("annotations", Annotations()));
    return Join(std::move(members));
  }

  std::string Annotations() {
    std::vector<std::string> members;
    for (const char* key : {"kubectl.kubernetes.io/last-applied-configuration", "a", "b"}) {
      if (Roll(2)) members.push_back(Member(key, R"("{\"x\":[1,2]}\n")"));
    }
    return Join(std::move(members));
  }

  std::string Value(int depth) {
    static constexpr const char* kScalars[] = {"1",
                                               "-0.5e3",
                                               "9007199254740993",
                                               "true",
                                               "null",
                                               "\"\"",
                                               "\"}],{\\\"[:\"",
                                               "{}",
                                               "\"\\ud83d\\ude00 é\"",
                                               "[]"};
    if (depth == 0 || Roll(3)) return kScalars[base::NextRandom(&random_) % std::size(kScalars)];
    if (Roll(2)) return "[" + Space() + Value(depth - 1) + "," + Value(depth - 1) + "]";
    std::vector<std::string> members;
    for (const char* key : {"metadata", "kind", "managedFields", "x"}) {
      if (Roll(2)) members.push_back(Member(key, Value(depth - 1)));
    }
    return Join(std::move(members));
  }

  std::string Space() { return Roll(6) ? " \n\t" : ""; }

  std::string Member(std::string_view key, const std::string& value) {
    std::string out = Space() + "\"";
    for (const char c : key) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
      out += Roll(40) ? std::string(escaped) : std::string(1, c);
    }
    return out + "\"" + Space() + ":" + Space() + value + Space();
  }

  std::string Join(std::vector<std::string> members) {
    for (size_t i = members.size(); i > 1; --i) {
      std::swap(members[i - 1], members[base::NextRandom(&random_) % i]);
    }
    std::string out = "{" + Space();
    for (size_t i = 0; i < members.size(); ++i) out += (i > 0 ? "," : "") + members[i];
    return out + "}";
  }

  uint64_t random_;
};

Json::Value CutDom(Json::Value object, bool secret) {
  object.removeMember("apiVersion");
  object.removeMember("kind");
  if (secret) {
    object.removeMember("data");
    object.removeMember("stringData");
  }
  Json::Value& metadata = object["metadata"];
  metadata.removeMember("resourceVersion");
  metadata.removeMember("managedFields");
  if (metadata.isMember("annotations")) {
    metadata["annotations"].removeMember("kubectl.kubernetes.io/last-applied-configuration");
  }
  return object;
}

TEST(Splice, CuttingBytesEqualsCuttingADom) {
  ObjectReader reader;
  for (uint64_t seed = 0; seed < 5000; ++seed) {
    Generator generator(seed);
    const std::string text = generator.Object();
    const bool secret = generator.Roll(2);
    auto view = reader.ReadObject(text, {.secret_data = secret});
    ASSERT_TRUE(view.ok()) << view.status() << text;
    std::string spliced;
    Splice(view->text, view->cuts, &spliced);
    auto original = ParseJson(text);
    auto cut = ParseJson(spliced);
    ASSERT_TRUE(original.ok()) << text;
    ASSERT_TRUE(cut.ok()) << seed << " " << text << "\n" << spliced;
    ASSERT_EQ(WriteJson(*cut), WriteJson(CutDom(*original, secret))) << seed << " " << text;
  }
}

TEST(Splice, CutsAtTheEdgesAndTouchingCuts) {
  const Range cuts[] = {{0, 1}, {3, 4}, {4, 5}, {7, 8}};
  std::string out = "<";
  Splice("01234567", cuts, &out);
  EXPECT_EQ(out, "<1256");
  EXPECT_EQ(SplicedSize("01234567", cuts), 4u);
  EXPECT_EQ(SplicedSize("01", {}), 2u);
}

}  // namespace
}  // namespace fairlead::json
