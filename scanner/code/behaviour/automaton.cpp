#include "scanner/code/behaviour/rule_set.hpp"

#include <queue>

namespace hubgate::behaviour {
namespace {

unsigned char folded(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 'A' && byte <= 'Z' ? static_cast<unsigned char>(byte | 0x20) : byte;
}

} // namespace

Automaton::Automaton() = default;
Automaton::~Automaton() = default;
Automaton::Automaton(Automaton&&) noexcept = default;

std::uint32_t Automaton::add(std::string_view literal) {
  std::string lower;
  for (const char c: literal)
    lower += static_cast<char>(folded(c));
  const auto [at, fresh] = known_.emplace(lower, static_cast<std::uint32_t>(literals_.size()));
  if (fresh) literals_.push_back(std::move(lower));
  return at->second;
}

// The classes of bytes are those that literals use; all others lead back to the root.
void Automaton::build() {
  for (const std::string& literal: literals_)
    for (const char c: literal) {
      std::uint8_t& known = class_of_[folded(c)];
      if (known == 0) known = static_cast<std::uint8_t>(classes_++);
    }
  for (char c = 'A'; c <= 'Z'; ++c)
    class_of_[static_cast<unsigned char>(c)] = class_of_[folded(c)];

  const auto add_state = [&] {
    next_.resize(next_.size() + classes_, 0);
    literal_.push_back(0);
    length_.push_back(0);
    return static_cast<std::uint32_t>(literal_.size() - 1);
  };
  add_state();
  for (std::uint32_t number = 0; number < literals_.size(); ++number) {
    std::uint32_t state = 0;
    for (const char c: literals_[number]) {
      const std::size_t edge = std::size_t{state} * classes_ + class_of_[folded(c)];
      if (next_[edge] == 0) {
        const std::uint32_t fresh = add_state();
        next_[edge] = fresh;
      }
      state = next_[edge];
    }
    literal_[state] = number;
    length_[state] = static_cast<std::uint32_t>(literals_[number].size());
  }
  suffix_.assign(literal_.size(), 0);
  output_.assign(literal_.size(), 0);
  std::queue<std::uint32_t> states;
  for (std::uint32_t c = 0; c < classes_; ++c)
    if (next_[c] != 0) states.push(next_[c]);
  while (!states.empty()) {
    const std::uint32_t state = states.front();
    states.pop();
    output_[state] = length_[state] != 0 ? state : output_[suffix_[state]];
    for (std::uint32_t c = 0; c < classes_; ++c) {
      std::uint32_t& target = next_[std::size_t{state} * classes_ + c];
      const std::uint32_t fallback = next_[std::size_t{suffix_[state]} * classes_ + c];
      if (target == 0) {
        target = fallback;
      } else {
        suffix_[target] = fallback;
        states.push(target);
      }
    }
  }
}

} // namespace hubgate::behaviour
