#pragma once

#include <span>

#include "lib/sql/migrator.h"

namespace fairlead::endpoint::store {

// Tables of DESIGN section 7. Within a minor version migrations only add.
std::span<const sql::Migration> Migrations();

}  // namespace fairlead::endpoint::store
