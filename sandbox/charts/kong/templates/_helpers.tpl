{{- define "kong.name" -}}
{{- .Chart.Name }}
{{- end }}

{{- /* Kong's chart doesn't leave out the repetition when a release has the chart's name. */}}
{{- define "kong.fullname" -}}
{{- default (printf "%s-%s" .Release.Name (include "kong.name" .)) .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "kong.proxyService" -}}
{{- printf "%s-proxy" (include "kong.fullname" .) }}
{{- end }}

{{- define "kong.selectorLabels" -}}
app.kubernetes.io/name: {{ include "kong.name" . }}
app.kubernetes.io/component: app
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "kong.labels" -}}
app.kubernetes.io/name: {{ include "kong.name" . }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- define "kong.metadata" -}}
name: {{ include "kong.fullname" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "kong.labels" . | nindent 2 }}
{{- end }}

{{- /* The value of a KONG_..._LISTEN: what is enabled of a section's http and tls, on each of the addresses. */}}
{{- define "kong.listen" -}}
{{- $entries := list }}
{{- range $kind, $flags := dict "http" list "tls" (list "ssl") }}
{{- $listen := get $.section $kind | default dict }}
{{- range $address := ternary $.addresses list ($listen.enabled | default false) }}
{{- $entries = append $entries (concat (list (printf "%s:%d" $address (int $listen.containerPort))) $listen.parameters $flags | join " ") }}
{{- end }}
{{- end }}
{{- join ", " $entries }}
{{- end }}

{{- /* Environment variables of a map: a value, or a map for valueFrom. */}}
{{- define "kong.variables" -}}
{{- $prefix := .prefix }}
{{- range $name, $value := .values }}
- name: {{ $prefix }}{{ $name | upper }}
  {{- if kindIs "map" $value }}
  {{- toYaml $value | nindent 2 }}
  {{- else }}
  value: {{ $value | toString | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* What this chart lacks is refused, never left out in silence. */}}
{{- define "kong.refuse" -}}
{{- range list
  (list .Values.ingressController.admissionWebhook.enabled "ingressController.admissionWebhook.enabled" "has no admission webhook" "false")
  (list (not .Values.ingressController.enabled) "ingressController.enabled" "always has the controller" "true")
  (list .Values.manager.enabled "manager.enabled" "has no Kong Manager" "false")
  (list .Values.admin.enabled "admin.enabled" "keeps the admin API inside the pod" "false")
  (list .Values.serviceMonitor.enabled "serviceMonitor.enabled" "has no ServiceMonitor" "false")
  (list (ne (toString .Values.env.database) "off") "env.database" "has no database" "off")
}}
{{- if index . 0 }}
{{- fail (printf "%s: this stand-in for Kong's chart %s; set it to %s" (index . 1) (index . 2) (index . 3)) }}
{{- end }}
{{- end }}
{{- end }}
