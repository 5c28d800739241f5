#pragma once

#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "lib/sql/connection.h"

// How PostgreSQL spells things, without its library.
namespace fairlead::sql {

// A message without the line breaks that end it.
std::string_view Trimmed(std::string_view text);

// Of an error, by SQLSTATE (PostgreSQL documentation, appendix A): a whole code, or its class.
absl::StatusCode PostgresCodeOf(std::string_view state);

// `sql` with "$1" for the first question mark that is not in quotes, and so on; adds how many there
// are to `parameters`.
std::string Numbered(std::string_view sql, int* parameters);

// A text[] of each pair's `part`, as the server reads it in binary
// (src/backend/utils/adt/arrayfuncs.c, array_recv).
std::string TextArray(std::span<const TextPair> pairs, std::string_view TextPair::*part);

}  // namespace fairlead::sql
