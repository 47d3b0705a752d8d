package plugins

import (
	"log"
	"net/http"
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"

	"kong/declarative"
	"kong/gateway"
)

// serverless is the configuration of pre-function and post-function: Lua for the phases of a request.
type serverless struct {
	Rewrite      []string `json:"rewrite"`
	Access       []string `json:"access"`
	HeaderFilter []string `json:"header_filter"`
	BodyFilter   []string `json:"body_filter"`
}

// newServerless runs a user's Lua. The tables below are the supported part of Kong's plugin development kit; a script that
// uses anything else fails.
func newServerless(c *serverless, _ *declarative.PluginEntity, wrong *declarative.Faults) gateway.Handler {
	compile := func(phase string, scripts []string) (compiled []*lua.FunctionProto) {
		for _, script := range scripts {
			chunk, err := parse.Parse(strings.NewReader(script), phase)
			if err == nil {
				var proto *lua.FunctionProto
				if proto, err = lua.Compile(chunk, phase); err == nil {
					compiled = append(compiled, proto)
				}
			}
			if err != nil {
				wrong.Add("config."+phase, "error parsing function: "+err.Error())
			}
		}
		return compiled
	}
	if len(c.Rewrite)+len(c.Access)+len(c.HeaderFilter)+len(c.BodyFilter) == 0 {
		wrong.Add("config", "at least one of these fields must be non-empty: 'config.rewrite', 'config.access', "+
			"'config.header_filter', 'config.body_filter'")
	}
	h := gateway.Handler{}
	if scripts := compile("rewrite", c.Rewrite); scripts != nil {
		h.Rewrite = func(x *gateway.Exchange) { runLua(x, "rewrite", scripts, nil) }
	}
	if scripts := compile("access", c.Access); scripts != nil {
		h.Access = func(x *gateway.Exchange) { runLua(x, "access", scripts, nil) }
	}
	if scripts := compile("header_filter", c.HeaderFilter); scripts != nil {
		h.Header = func(x *gateway.Exchange, header http.Header) {
			runLua(x, "header_filter", scripts, &luaResponse{header: header})
		}
	}
	if scripts := compile("body_filter", c.BodyFilter); scripts != nil {
		h.NewBodyFilter = func(x *gateway.Exchange, header http.Header) gateway.BodyFilter {
			response := &luaResponse{header: header}
			return func(chunk []byte, last bool) []byte {
				response.chunk, response.last = chunk, last
				runLua(x, "body_filter", scripts, response)
				return response.chunk
			}
		}
	}
	return h
}

// luaResponse is a response as a script sees it in the phases that follow the upstream's answer.
type luaResponse struct {
	header http.Header
	held   []byte // the chunks before this one, kept until the last one has come: get_raw_body returns the whole
	chunk  []byte // of the body, as it came or as a script has replaced it
	last   bool
}

// runLua runs the scripts of a phase. One that fails ends the request as in Kong: with 500 before the response began,
// with a broken connection after that.
func runLua(x *gateway.Exchange, phase string, scripts []*lua.FunctionProto, response *luaResponse) {
	for _, script := range scripts {
		state := newLua()
		s := &luaRun{state: state, exchange: x, response: response}
		s.define()
		err := s.run(script)
		state.Close()
		if err == nil {
			continue
		}
		log.Printf("%s: %s: %s", x.Id, phase, err)
		if response != nil {
			panic(http.ErrAbortHandler)
		}
		x.Fail(http.StatusInternalServerError, "An unexpected error occurred")
		return
	}
}

func newLua() *lua.LState {
	state := lua.NewState(lua.Options{SkipOpenLibs: true, RegistrySize: 1024, RegistryMaxSize: 1 << 20, CallStackSize: 128})
	for name, open := range map[string]lua.LGFunction{
		lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable, lua.StringLibName: lua.OpenString, lua.MathLibName: lua.OpenMath,
	} {
		state.Push(state.NewFunction(open))
		state.Push(lua.LString(name))
		state.Call(1, 0)
	}
	for _, unsafe := range []string{"dofile", "loadfile", "load", "loadstring", "require", "module", "print", "setfenv", "getfenv"} {
		state.SetGlobal(unsafe, lua.LNil)
	}
	return state
}

// luaRun is one run of a script.
type luaRun struct {
	state    *lua.LState
	exchange *gateway.Exchange
	response *luaResponse
}

// run runs a script, and the function that it may return.
func (s *luaRun) run(proto *lua.FunctionProto) error {
	s.state.Push(s.state.NewFunctionFromProto(proto))
	if err := s.state.PCall(0, 1, nil); err != nil {
		return err
	}
	result := s.state.Get(-1)
	if function, is := result.(*lua.LFunction); is {
		s.state.Push(function)
		return s.state.PCall(0, 0, nil)
	}
	return nil
}

// table makes a table whose unknown fields are errors.
func (s *luaRun) table(name string, functions map[string]lua.LGFunction) *lua.LTable {
	result := s.state.NewTable()
	for field, function := range functions {
		result.RawSetString(field, s.state.NewFunction(function))
	}
	meta := s.state.NewTable()
	meta.RawSetString("__index", s.state.NewFunction(func(l *lua.LState) int {
		l.RaiseError("this stand-in for Kong has no %s.%s here", name, l.CheckString(2))
		return 0
	}))
	result.Metatable = meta
	return result
}

// define sets the global tables `kong` and `ngx`.
func (s *luaRun) define() {
	service := s.table("kong.service", nil)
	service.RawSetString("request", s.table("kong.service.request", s.serviceRequestFunctions()))
	kong := s.table("kong", nil)
	kong.RawSetString("request", s.table("kong.request", s.requestFunctions()))
	kong.RawSetString("service", service)
	kong.RawSetString("response", s.table("kong.response", s.responseFunctions()))
	s.state.SetGlobal("kong", kong)

	ngx := s.table("ngx", nil)
	ngx.RawSetString("req", s.table("ngx.req", s.ngxRequestFunctions()))
	s.state.SetGlobal("ngx", ngx)
}

func (s *luaRun) requestFunctions() map[string]lua.LGFunction {
	request := s.exchange.Request
	return map[string]lua.LGFunction{
		"get_header": func(l *lua.LState) int {
			if strings.EqualFold(l.CheckString(1), "host") {
				return pushText(l, request.Host)
			}
			return pushText(l, request.Header.Get(l.CheckString(1)))
		},
		"get_raw_body": func(l *lua.LState) int {
			body, err := s.exchange.WholeBody()
			if err != nil {
				l.RaiseError("%s", err)
			}
			if l.GetTop() == 0 && len(body) > s.exchange.Gateway.Settings.BodyBuffer {
				l.Push(lua.LNil)
				l.Push(lua.LString("request body did not fit into client body buffer"))
				return 2
			}
			l.Push(lua.LString(body))
			return 1
		},
	}
}

func (s *luaRun) serviceRequestFunctions() map[string]lua.LGFunction {
	return map[string]lua.LGFunction{
		"set_raw_body": func(l *lua.LState) int { s.exchange.ReplaceBody([]byte(l.CheckString(1))); return 0 },
	}
}

func (s *luaRun) ngxRequestFunctions() map[string]lua.LGFunction {
	request := s.exchange.Request
	return map[string]lua.LGFunction{
		"set_header": func(l *lua.LState) int {
			if name := l.CheckString(1); strings.EqualFold(name, "host") {
				request.Host = l.CheckString(2)
			} else {
				request.Header.Set(name, l.CheckString(2))
			}
			return 0
		},
		"clear_header": func(l *lua.LState) int { request.Header.Del(l.CheckString(1)); return 0 },
		"get_headers": func(l *lua.LState) int {
			most := l.OptInt(1, 100)
			found := l.NewTable()
			found.RawSetString("Host", lua.LString(request.Host))
			for name, values := range request.Header {
				if most > 0 && found.Len() >= most {
					break
				}
				found.RawSetString(name, lua.LString(strings.Join(values, ", ")))
			}
			l.Push(found)
			return 1
		},
	}
}

func (s *luaRun) responseFunctions() map[string]lua.LGFunction {
	if s.response == nil {
		return nil
	}
	header := s.response.header
	return map[string]lua.LGFunction{
		"get_header":   func(l *lua.LState) int { return pushText(l, header.Get(l.CheckString(1))) },
		"clear_header": func(l *lua.LState) int { header.Del(l.CheckString(1)); return 0 },
		"get_raw_body": func(l *lua.LState) int {
			s.response.held = append(s.response.held, s.response.chunk...)
			if !s.response.last {
				s.response.chunk = nil
				l.Push(lua.LNil)
				return 1
			}
			s.response.chunk = s.response.held
			l.Push(lua.LString(s.response.chunk))
			return 1
		},
		"set_raw_body": func(l *lua.LState) int {
			if s.response.chunk = []byte(l.CheckString(1)); len(s.response.chunk) == 0 {
				s.response.chunk = []byte("\n")
			}
			return 0
		},
	}
}

// pushText returns a text to Lua; an empty one is a header that isn't there.
func pushText(l *lua.LState, text string) int {
	if text == "" {
		l.Push(lua.LNil)
	} else {
		l.Push(lua.LString(text))
	}
	return 1
}
