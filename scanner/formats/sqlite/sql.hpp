#pragma once
// SQL that a database carries in its schema: it runs when whoever opens the database uses the
// table, view or trigger. Only looked at by its tokens.
#include <optional>
#include <string>
#include <string_view>

namespace hubgate::sqlite {

/// The first thing in a schema's statement that reaches out of the database: a call of
/// load_extension(), ATTACH, a pragma, a write to shadow tables of full-text search, a virtual
/// table over files. Nothing: an ordinary statement.
std::optional<std::string> reaches_out(std::string_view sql);

} // namespace hubgate::sqlite
