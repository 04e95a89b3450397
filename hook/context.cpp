#include "hook/context.hpp"

namespace hubgate {

Context context_of(const HookEnvironment& environment) {
  Context out;
  out.direction = Direction::push;
  out.road = Road::git;
  out.repo = environment.repo;
  out.user = environment.user;
  out.groups = environment.groups;
  out.from = environment.from;
  out.client = "pre-receive " + environment.server;
  return out;
}

} // namespace hubgate
