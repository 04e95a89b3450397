#pragma once
// Owed: LFS objects that the policy let be named before they were there. An event tells of each, to
// the audit log and to the store, whose list says what is still to be judged when it comes.
#include "policy/store.hpp"

namespace hubgate {

/// The event, with "git_dir", "repo", "oid", "ref", "path" and more.
inline constexpr std::string_view k_lfs_pending = "lfs-pending";
/// The event when it came, or won't.
inline constexpr std::string_view k_lfs_settled = "lfs-settled";

/// Keeps what an event k_lfs_pending says; the same again changes nothing. `vouched_by`: see
/// LocalAuthority::Scope.
Result<void> keep_owed(Store& store, std::string_view vouched_by,
                       const boost::json::object& fields);

} // namespace hubgate
