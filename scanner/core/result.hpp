#pragma once
// Result<T>: a value or an Error. For bad input and failed system calls; never for our own bugs.
#include <cstdint>
#include <string>
#include <utility>
#include <variant>

namespace hubgate {

/// What went wrong, in words for a person. `message` is one line without a trailing full stop and
/// names the thing (file, field, flag); nothing in it comes unescaped from a scanned object.
struct Error {
  std::string message;
};

template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return state_.index() == 0; }
  bool ok() const { return state_.index() == 0; }

  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const { return std::get<1>(state_); }

private:
  std::variant<T, Error> state_;
};

template <> class [[nodiscard]] Result<void> {
public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), failed_(true) {}

  explicit operator bool() const { return !failed_; }
  bool ok() const { return !failed_; }
  const Error& error() const { return error_; }

private:
  Error error_;
  bool failed_ = false;
};

} // namespace hubgate

// Takes the value out of a Result or returns its error. Not for coroutines (it returns).
#define HUBGATE_TRY(expression)                                                                    \
  __extension__({                                                                                  \
    auto hubgate_result_ = (expression);                                                           \
    if (!hubgate_result_.ok()) return hubgate_result_.error();                                     \
    std::move(hubgate_result_).value();                                                            \
  })
