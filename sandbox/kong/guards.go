package main

import (
	"io"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// Plugins that keep some requests from a service.

type ipRestriction struct {
	Allow   []string `json:"allow"`
	Deny    []string `json:"deny"`
	Status  *int     `json:"status" range:"100,599"`
	Message string   `json:"message"`
}

// newIPRestriction judges by the client's address as the trusted hops tell it.
func newIPRestriction(c *ipRestriction, _ *pluginEntity, wrong *faults) handler {
	if len(c.Allow)+len(c.Deny) == 0 {
		wrong.add("config", "at least one of these fields must be non-empty: 'allow', 'deny'")
	}
	parse := func(field string, texts []string) (ranges []netip.Prefix) {
		for _, text := range texts {
			prefix, err := parsePrefix(text)
			if err != nil {
				wrong.add("config."+field, "invalid ip or cidr range: '"+text+"'")
			}
			ranges = append(ranges, prefix)
		}
		return ranges
	}
	allow, deny := parse("allow", c.Allow), parse("deny", c.Deny)
	return handler{access: func(x *exchange) {
		within := func(p netip.Prefix) bool { return p.Contains(x.client) }
		if !slices.ContainsFunc(deny, within) && (len(allow) == 0 || slices.ContainsFunc(allow, within)) {
			return
		}
		status, message := http.StatusForbidden, "IP address not allowed: "+x.client.String()
		if c.Status != nil {
			status = *c.Status
		}
		if c.Message != "" {
			message = c.Message
		}
		x.fail(status, message)
	}}
}

type sizeLimit struct {
	AllowedPayloadSize   int    `json:"allowed_payload_size"`
	SizeUnit             string `json:"size_unit" oneof:"megabytes,kilobytes,bytes"`
	RequireContentLength bool   `json:"require_content_length"`
}

func newSizeLimit(c *sizeLimit, _ *pluginEntity, _ *faults) handler {
	limit := int64(c.AllowedPayloadSize) * map[string]int64{"megabytes": 1 << 20, "kilobytes": 1 << 10, "bytes": 1}[c.SizeUnit]
	return handler{access: func(x *exchange) {
		size := x.request.ContentLength
		if c.RequireContentLength && size == 0 && x.request.Header.Get("Content-Length") == "" {
			x.fail(http.StatusLengthRequired, "A valid Content-Length header is required")
			return
		}
		if size < 0 {
			content, _ := io.ReadAll(io.LimitReader(x.request.Body, limit+1))
			x.replaceBody(content)
			size = int64(len(content))
		}
		if size > limit {
			status := http.StatusRequestEntityTooLarge
			if strings.EqualFold(x.request.Header.Get("Expect"), "100-continue") {
				status = http.StatusExpectationFailed
			}
			x.fail(status, "Request size limit exceeded")
		}
	}}
}

type botDetection struct {
	Allow []string `json:"allow"`
	Deny  []string `json:"deny"`
}

// knownBots are a part of Kong's, whose list is from 2018: names with a version that end like a crawler's, anything with
// "spider", "scrape" or "crawl", libraries by which programs ask, and some crawlers known by name. Case counts.
var knownBots = regexp.MustCompile(strings.Join([]string{
	`[Ss][Pp][Ii][Dd][Ee][Rr]|[Ss]crape|[Cc][Rr][Aa][Ww][Ll]`,
	`([Bb]ot|[Aa]rchiver|[Ii]ndexer)[/ ]\d`,
	`(facebookexternalhit|Boto3?|aws-cli|aws-sdk-(cpp|go|java|nodejs|ruby2?|dotnet-\w+)|s3fs)/\d+\.\d`,
	`Apache-HttpClient|Go-http-client|Google-HTTP-Java-Client|HttpMonitor|Python-urllib|WinHTTP|aihttp|axios|okhttp|reqwest`,
	`scalaj-http|unirest-(java|python|ruby|nodejs|php|net)`,
	`AdsBot-Google|BingPreview|Googlebot|LinkedInBot|MJ12bot|Mediapartners-Google|Scrapy|SemrushBot|Slack-ImgProxy`,
	`Slackbot-LinkExpanding|Slurp|Twitterbot|WhatsApp|WordPress|Yandex\w|bingbot|favicon|ia_archiver|msnbot`,
}, "|"))

func newBotDetection(c *botDetection, _ *pluginEntity, wrong *faults) handler {
	compile := func(field string, patterns []string) (result []*regexp.Regexp) {
		for _, pattern := range patterns {
			compiled, err := regexp.Compile(pattern)
			if err != nil {
				wrong.add("config."+field, "invalid regex: "+err.Error())
			}
			result = append(result, compiled)
		}
		return result
	}
	allow, deny := compile("allow", c.Allow), append(compile("deny", c.Deny), knownBots)
	return handler{access: func(x *exchange) {
		agents := x.request.Header.Values("User-Agent")
		if len(agents) > 1 {
			x.fail(http.StatusBadRequest, "Only one User-Agent header allowed")
			return
		}
		if len(agents) == 0 {
			return
		}
		fits := func(pattern *regexp.Regexp) bool { return pattern.MatchString(strings.TrimSpace(agents[0])) }
		if !slices.ContainsFunc(allow, fits) && slices.ContainsFunc(deny, fits) {
			x.fail(http.StatusForbidden, "Forbidden")
		}
	}}
}
