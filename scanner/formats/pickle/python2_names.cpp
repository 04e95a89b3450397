// Python 2's names and what Python 3 calls them: pickles below protocol 3 are mapped while they are
// loaded (fix_imports). The table is CPython's Lib/_compat_pickle.py.
#include "scanner/formats/pickle/names.hpp"

#include <array>

namespace hubgate::pickle {
namespace {

struct ModuleMap {
  std::string_view from;
  std::string_view to;
};

struct NameMap {
  std::string_view from_module;
  std::string_view from_name;
  std::string_view to_module;
  std::string_view to_name;
};

constexpr std::array k_modules{
    ModuleMap{"BaseHTTPServer", "http.server"},
    ModuleMap{"CGIHTTPServer", "http.server"},
    ModuleMap{"ConfigParser", "configparser"},
    ModuleMap{"Cookie", "http.cookies"},
    ModuleMap{"Dialog", "tkinter.dialog"},
    ModuleMap{"DocXMLRPCServer", "xmlrpc.server"},
    ModuleMap{"FileDialog", "tkinter.filedialog"},
    ModuleMap{"HTMLParser", "html.parser"},
    ModuleMap{"Queue", "queue"},
    ModuleMap{"ScrolledText", "tkinter.scrolledtext"},
    ModuleMap{"SimpleDialog", "tkinter.simpledialog"},
    ModuleMap{"SimpleHTTPServer", "http.server"},
    ModuleMap{"SimpleXMLRPCServer", "xmlrpc.server"},
    ModuleMap{"SocketServer", "socketserver"},
    ModuleMap{"StringIO", "io"},
    ModuleMap{"Tix", "tkinter.tix"},
    ModuleMap{"Tkconstants", "tkinter.constants"},
    ModuleMap{"Tkdnd", "tkinter.dnd"},
    ModuleMap{"Tkinter", "tkinter"},
    ModuleMap{"UserDict", "collections"},
    ModuleMap{"UserList", "collections"},
    ModuleMap{"UserString", "collections"},
    ModuleMap{"__builtin__", "builtins"},
    ModuleMap{"_abcoll", "collections.abc"},
    ModuleMap{"_elementtree", "xml.etree.ElementTree"},
    ModuleMap{"_winreg", "winreg"},
    ModuleMap{"anydbm", "dbm"},
    ModuleMap{"cPickle", "pickle"},
    ModuleMap{"cStringIO", "io"},
    ModuleMap{"commands", "subprocess"},
    ModuleMap{"cookielib", "http.cookiejar"},
    ModuleMap{"copy_reg", "copyreg"},
    ModuleMap{"dbhash", "dbm.bsd"},
    ModuleMap{"dbm", "dbm.ndbm"},
    ModuleMap{"dumbdbm", "dbm.dumb"},
    ModuleMap{"dummy_thread", "_dummy_thread"},
    ModuleMap{"gdbm", "dbm.gnu"},
    ModuleMap{"htmlentitydefs", "html.entities"},
    ModuleMap{"httplib", "http.client"},
    ModuleMap{"markupbase", "_markupbase"},
    ModuleMap{"repr", "reprlib"},
    ModuleMap{"robotparser", "urllib.robotparser"},
    ModuleMap{"test.test_support", "test.support"},
    ModuleMap{"thread", "_thread"},
    ModuleMap{"tkColorChooser", "tkinter.colorchooser"},
    ModuleMap{"tkCommonDialog", "tkinter.commondialog"},
    ModuleMap{"tkFileDialog", "tkinter.filedialog"},
    ModuleMap{"tkFont", "tkinter.font"},
    ModuleMap{"tkMessageBox", "tkinter.messagebox"},
    ModuleMap{"tkSimpleDialog", "tkinter.simpledialog"},
    ModuleMap{"ttk", "tkinter.ttk"},
    ModuleMap{"urllib2", "urllib.request"},
    ModuleMap{"urlparse", "urllib.parse"},
    ModuleMap{"whichdb", "dbm"},
    ModuleMap{"xmlrpclib", "xmlrpc.client"},
};

constexpr std::array k_names{
    NameMap{"UserDict", "IterableUserDict", "collections", "UserDict"},
    NameMap{"UserDict", "UserDict", "collections", "UserDict"},
    NameMap{"UserList", "UserList", "collections", "UserList"},
    NameMap{"UserString", "UserString", "collections", "UserString"},
    NameMap{"__builtin__", "basestring", "builtins", "str"},
    NameMap{"__builtin__", "intern", "sys", "intern"},
    NameMap{"__builtin__", "long", "builtins", "int"},
    NameMap{"__builtin__", "reduce", "functools", "reduce"},
    NameMap{"__builtin__", "unichr", "builtins", "chr"},
    NameMap{"__builtin__", "unicode", "builtins", "str"},
    NameMap{"__builtin__", "xrange", "builtins", "range"},
    NameMap{"_multiprocessing", "Connection", "multiprocessing.connection", "Connection"},
    NameMap{"_socket", "fromfd", "socket", "fromfd"},
    NameMap{"exceptions", "ArithmeticError", "builtins", "ArithmeticError"},
    NameMap{"exceptions", "AssertionError", "builtins", "AssertionError"},
    NameMap{"exceptions", "AttributeError", "builtins", "AttributeError"},
    NameMap{"exceptions", "BaseException", "builtins", "BaseException"},
    NameMap{"exceptions", "BufferError", "builtins", "BufferError"},
    NameMap{"exceptions", "BytesWarning", "builtins", "BytesWarning"},
    NameMap{"exceptions", "DeprecationWarning", "builtins", "DeprecationWarning"},
    NameMap{"exceptions", "EOFError", "builtins", "EOFError"},
    NameMap{"exceptions", "EnvironmentError", "builtins", "EnvironmentError"},
    NameMap{"exceptions", "Exception", "builtins", "Exception"},
    NameMap{"exceptions", "FloatingPointError", "builtins", "FloatingPointError"},
    NameMap{"exceptions", "FutureWarning", "builtins", "FutureWarning"},
    NameMap{"exceptions", "GeneratorExit", "builtins", "GeneratorExit"},
    NameMap{"exceptions", "IOError", "builtins", "IOError"},
    NameMap{"exceptions", "ImportError", "builtins", "ImportError"},
    NameMap{"exceptions", "ImportWarning", "builtins", "ImportWarning"},
    NameMap{"exceptions", "IndentationError", "builtins", "IndentationError"},
    NameMap{"exceptions", "IndexError", "builtins", "IndexError"},
    NameMap{"exceptions", "KeyError", "builtins", "KeyError"},
    NameMap{"exceptions", "KeyboardInterrupt", "builtins", "KeyboardInterrupt"},
    NameMap{"exceptions", "LookupError", "builtins", "LookupError"},
    NameMap{"exceptions", "MemoryError", "builtins", "MemoryError"},
    NameMap{"exceptions", "NameError", "builtins", "NameError"},
    NameMap{"exceptions", "NotImplementedError", "builtins", "NotImplementedError"},
    NameMap{"exceptions", "OSError", "builtins", "OSError"},
    NameMap{"exceptions", "OverflowError", "builtins", "OverflowError"},
    NameMap{"exceptions", "PendingDeprecationWarning", "builtins", "PendingDeprecationWarning"},
    NameMap{"exceptions", "ReferenceError", "builtins", "ReferenceError"},
    NameMap{"exceptions", "RuntimeError", "builtins", "RuntimeError"},
    NameMap{"exceptions", "RuntimeWarning", "builtins", "RuntimeWarning"},
    NameMap{"exceptions", "StandardError", "builtins", "Exception"},
    NameMap{"exceptions", "StopIteration", "builtins", "StopIteration"},
    NameMap{"exceptions", "SyntaxError", "builtins", "SyntaxError"},
    NameMap{"exceptions", "SyntaxWarning", "builtins", "SyntaxWarning"},
    NameMap{"exceptions", "SystemError", "builtins", "SystemError"},
    NameMap{"exceptions", "SystemExit", "builtins", "SystemExit"},
    NameMap{"exceptions", "TabError", "builtins", "TabError"},
    NameMap{"exceptions", "TypeError", "builtins", "TypeError"},
    NameMap{"exceptions", "UnboundLocalError", "builtins", "UnboundLocalError"},
    NameMap{"exceptions", "UnicodeDecodeError", "builtins", "UnicodeDecodeError"},
    NameMap{"exceptions", "UnicodeEncodeError", "builtins", "UnicodeEncodeError"},
    NameMap{"exceptions", "UnicodeError", "builtins", "UnicodeError"},
    NameMap{"exceptions", "UnicodeTranslateError", "builtins", "UnicodeTranslateError"},
    NameMap{"exceptions", "UnicodeWarning", "builtins", "UnicodeWarning"},
    NameMap{"exceptions", "UserWarning", "builtins", "UserWarning"},
    NameMap{"exceptions", "ValueError", "builtins", "ValueError"},
    NameMap{"exceptions", "Warning", "builtins", "Warning"},
    NameMap{"exceptions", "ZeroDivisionError", "builtins", "ZeroDivisionError"},
    NameMap{"itertools", "ifilter", "builtins", "filter"},
    NameMap{"itertools", "ifilterfalse", "itertools", "filterfalse"},
    NameMap{"itertools", "imap", "builtins", "map"},
    NameMap{"itertools", "izip", "builtins", "zip"},
    NameMap{"itertools", "izip_longest", "itertools", "zip_longest"},
    NameMap{"multiprocessing", "AuthenticationError", "multiprocessing.context",
            "AuthenticationError"},
    NameMap{"multiprocessing", "BufferTooShort", "multiprocessing.context", "BufferTooShort"},
    NameMap{"multiprocessing", "ProcessError", "multiprocessing.context", "ProcessError"},
    NameMap{"multiprocessing", "TimeoutError", "multiprocessing.context", "TimeoutError"},
    NameMap{"multiprocessing.forking", "Popen", "multiprocessing.popen_fork", "Popen"},
    NameMap{"multiprocessing.process", "Process", "multiprocessing.context", "Process"},
    NameMap{"socket", "_socketobject", "socket", "SocketType"},
    NameMap{"urllib", "ContentTooShortError", "urllib.error", "ContentTooShortError"},
    NameMap{"urllib", "getproxies", "urllib.request", "getproxies"},
    NameMap{"urllib", "pathname2url", "urllib.request", "pathname2url"},
    NameMap{"urllib", "quote", "urllib.parse", "quote"},
    NameMap{"urllib", "quote_plus", "urllib.parse", "quote_plus"},
    NameMap{"urllib", "unquote", "urllib.parse", "unquote"},
    NameMap{"urllib", "unquote_plus", "urllib.parse", "unquote_plus"},
    NameMap{"urllib", "url2pathname", "urllib.request", "url2pathname"},
    NameMap{"urllib", "urlcleanup", "urllib.request", "urlcleanup"},
    NameMap{"urllib", "urlencode", "urllib.parse", "urlencode"},
    NameMap{"urllib", "urlopen", "urllib.request", "urlopen"},
    NameMap{"urllib", "urlretrieve", "urllib.request", "urlretrieve"},
    NameMap{"urllib2", "HTTPError", "urllib.error", "HTTPError"},
    NameMap{"urllib2", "URLError", "urllib.error", "URLError"},
    NameMap{"whichdb", "whichdb", "dbm", "whichdb"},
};

} // namespace

void map_python2(std::string& module, std::string& name) {
  for (const auto& row: k_names) {
    if (row.from_module != module || row.from_name != name) continue;
    module = row.to_module;
    name = row.to_name;
    return;
  }
  for (const auto& row: k_modules) {
    if (row.from != module) continue;
    module = row.to;
    return;
  }
}

} // namespace hubgate::pickle
