{{- define "es-sync-gateway.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 48 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 48 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "es-sync-gateway.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ default (include "es-sync-gateway.fullname" .) .Values.serviceAccount.name }}
{{- else }}{{ default "default" .Values.serviceAccount.name }}{{ end }}
{{- end }}

{{- define "es-sync-gateway.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else }}{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}{{ end }}
{{- end }}

{{/* What selects the pods of one program: never to change, or an upgrade fails. Takes { root, part }. */}}
{{- define "es-sync-gateway.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "es-sync-gateway.labels" -}}
{{ include "es-sync-gateway.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{/* The enabled programs: part of the release to { program, args, stateful }. */}}
{{- define "es-sync-gateway.programs" -}}
{{- if .Values.watcher.enabled }}
watcher: { program: es-watcher, stateful: true }
{{- end }}
{{- if .Values.gateway.enabled }}
gateway: { program: nats-gateway, stateful: {{ eq (toString .Values.gateway.config.embedded) "true" }} }
{{- end }}
{{- if .Values.writer.enabled }}
writer: { program: es-writer, stateful: false }
{{- end }}
{{- if .Values.nats3.enabled }}
nats3: { program: nats3, args: [server], stateful: false }
{{- end }}
{{- end }}

{{- define "es-sync-gateway.embedded" -}}
{{- if and .Values.gateway.enabled (eq (toString .Values.gateway.config.embedded) "true") }}true{{ end }}
{{- end }}

{{/* The settings file of one program: TOML for nats3, else YAML. Takes { root, part, program }. */}}
{{- define "es-sync-gateway.config" -}}
{{- $file := deepCopy .root.Values.config }}
{{- if and (include "es-sync-gateway.embedded" .root) (not (hasKey $file "nats-url")) }}
{{- $file = set $file "nats-url" (list (printf "nats://%s-nats:4222" (include "es-sync-gateway.fullname" .root))) }}
{{- end }}
{{- with (index .root.Values .part).config }}{{ $file = set $file $.program . }}{{ end }}
{{- if eq .part "nats3" }}{{ toToml $file }}{{ else }}{{ toYaml $file }}{{ end }}
{{- end }}
