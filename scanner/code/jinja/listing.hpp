#pragma once
// What a template shows to who asks (Session::showing): its tree, a line a node. Internal to
// scanner/code/jinja.
#include "scanner/code/jinja/tree.hpp"
#include "scanner/core/session.hpp"

namespace hubgate::jinja {

/// `offset`: of the template in the stream.
void show_tree(Session& session, const Tree& tree, std::uint64_t offset);

} // namespace hubgate::jinja
