#pragma once
// Locks of files (git-lfs docs/api/locking.md): no bytes of objects pass here, but what a hub says
// of them is shown to people by git-lfs and decides whether it pushes. Requests and answers are
// written anew from what was understood.
#include "proxy/relay/reply.hpp"

#include <boost/json.hpp>

namespace hubgate::proxy {

enum class LockCall { list, create, verify, unlock };

/// What a request below ….git/info/lfs/locks asks for: `rest` is what stands behind "locks".
/// Nothing when there is no such request.
std::optional<LockCall> lock_call(std::string_view method, std::span<const std::string> rest);

/// The query of a list, with the fields that are known: "" or beginning with '?'.
std::string lock_query(std::string_view query);
/// The body of the others. An error: it is not one that passes.
Result<std::string> lock_request(LockCall call, std::string_view body);
/// The answer of status 200, 201, or 409 to create. An error: it can't be understood.
Result<std::string> lock_answer(LockCall call, int status, std::string_view body);

/// A request of Route::lfs_locks.
Task<void> serve_lfs_locks(Visit& visit);

} // namespace hubgate::proxy
