#pragma once
// gitolite tells a hook who pushes and not which groups that person is in; it answers when it is
// asked: `gitolite list-memberships -u USER` (gitolite's documentation, "helping with gitolite").
#include "scanner/core/result.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace hubgate {

/// hook.groups_from: no name of a variable.
inline constexpr std::string_view k_groups_of_gitolite = "gitolite";

/// The groups of a user of this gitolite, without the '@'. Runs $GL_BINDIR/gitolite or the one of
/// PATH, as the account whose HOME is gitolite's.
Result<std::vector<std::string>> gitolite_groups(const std::string& user);

/// The names in what it answers.
std::vector<std::string> groups_in(std::string_view answer);

} // namespace hubgate
