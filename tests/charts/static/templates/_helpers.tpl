{{/* Labels of a component: call it with a list of the root context and the component's name. */}}
{{- define "preview.labels" -}}
{{- $root := index . 0 -}}
{{ include "preview.selector" . }}
app.kubernetes.io/part-of: {{ $root.Values.preview.project }}
{{- end }}

{{/* What selectors of a component match. */}}
{{- define "preview.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ index . 1 }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
{{- end }}

{{/* The image and when it is pulled. */}}
{{- define "preview.image" -}}
{{- with .Values.image -}}
{{- if .tagFromRevision -}}
image: "{{ .repository }}:{{ $.Values.preview.revision }}"
{{- else if .tag -}}
image: "{{ .repository }}:{{ .tag }}"
{{- else -}}
image: {{ .repository | quote }}
{{- end }}
imagePullPolicy: {{ .pullPolicy }}
{{- end -}}
{{- end }}

{{/* Of a pod: no root. Call it with the user. */}}
{{- define "preview.podSecurity" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ . }}
  runAsGroup: {{ . }}
  fsGroup: {{ . }}
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{/* Of a container: no capability, nothing to write to. */}}
{{- define "preview.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}
