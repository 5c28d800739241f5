#pragma once

#include <json/value.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// Text for people and programs. Pure. Nothing from a server reaches the terminal as a control
// character: tables show '?', JSON and YAML show an escape.
namespace fairlead::cli {

// Indented by two, keys sorted; `indent` is that of the lines after the first. No line break at the
// end.
std::string ToJson(const Json::Value& value, int indent = 0);
// On one line, without a line break.
std::string ToJsonLine(const Json::Value& value);
// Block style, keys sorted, strings quoted where YAML would read something else. Ends with a line
// break.
std::string ToYaml(const Json::Value& value, int indent = 0);

// "850ms", "12s", "3m20s", "5h10m", "2d3h"; negative: "never".
std::string AgeText(int64_t ms);

// Columns as wide as what was printed so far needs, so that a table can go on while one watches.
class Table {
 public:
  explicit Table(const std::vector<std::string>& headings);
  // Cells are made printable and cut to 120 bytes; an empty one shows "-".
  void Add(const std::vector<std::string>& cells);
  // What was added since the last call; the headings come first, once, also above no rows.
  std::string Flush();

 private:
  std::vector<std::vector<std::string>> rows_;  // the headings are the first
  std::vector<size_t> widths_;
};

}  // namespace fairlead::cli
